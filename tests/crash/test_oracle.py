"""The oracle of the kill run: right for a world that is right, and red for each error that is planted in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.crash.oracle import Left, Mail, Remains, Row, expected, judge

Entry = Mapping[str, Any]


def identify(user: str) -> Entry:
    traits = {"email": f"{user}@example.com", "phone": f"+{user}"}
    return {"type": "identify", "userId": user, "traits": traits, "context": {"device": {"token": f"device-{user}"}}}


def track(user: str, event: str) -> Entry:
    return {"type": "track", "userId": user, "event": event}


def call(number: int, *items: Entry, answer: str = "ok") -> list[Entry]:
    return [{"call": number, "phase": "invoke", "items": items}, {"call": number, "phase": answer}]


@dataclass
class World:
    """Ann is offered something, Bob (transactional) bought at once, Cleo buys later: all three got what they should."""

    journal: list[Entry] = field(
        default_factory=lambda: [
            *call(
                1, identify("ann"), track("ann", "errand_run"), identify("bob"), track("bob", "order_placed"), track("bob", "notice_given")
            ),
            *call(2, identify("cleo"), track("cleo", "parcel_sent")),
            *call(3, track("cleo", "order_placed")),
        ]
    )
    left: list[Left] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    remains: Remains = field(default_factory=Remains)

    def __post_init__(self) -> None:
        for number, mail in enumerate(sorted(expected(self.journal)[0])):
            self.left.append(Left(f"m{number}", mail))
            of_bob = "bob" in mail.address
            self.rows.append(Row(f"m{number}", mail, "transactional" if of_bob else "marketing", "sent"))

    def verdict(self) -> Any:
        return judge(self.journal, self.left, self.rows, self.remains)

    def row(self, user: str, **changes: Any) -> Row:
        """Change the first row of a user."""
        place = next(place for place, row in enumerate(self.rows) if user in row.mail.address)
        self.rows[place] = replace(self.rows[place], **changes)
        return self.rows[place]


def test_everybody_is_to_get_what_their_journey_says() -> None:
    sure, possible = expected(World().journal)
    assert {(mail.address, mail.template) for mail in sure} == {
        ("ann@example.com", "greeting"), ("device-ann", "nudge"), ("+ann", "offer"),
        ("bob@example.com", "greeting"), ("device-bob", "nudge"), ("bob@example.com", "thanks"),
        ("cleo@example.com", "greeting"), ("device-cleo", "nudge"), ("cleo@example.com", "thanks"),
    }  # fmt: skip
    assert not possible


def test_a_call_that_was_never_answered_may_have_been_taken() -> None:
    sure, possible = expected(
        [*call(1, identify("ann"), track("ann", "errand_run")), *call(2, track("ann", "order_placed"), answer="info")]
    )
    assert sorted(mail.template for mail in sure) == ["greeting", "nudge"]
    assert sorted(mail.template for mail in possible) == ["offer", "thanks"]


def test_a_world_that_is_right_is_found_right() -> None:
    verdict = World().verdict()
    assert verdict.is_right
    assert (verdict.expected, verdict.left) == (9, 9)


def drop_one(world: World) -> None:
    del world.left[0]


def drop_one_and_its_row(world: World) -> None:
    del world.left[0], world.rows[0]


def drop_a_transactional_one_that_is_unconfirmed(world: World) -> None:
    row = world.row("bob", state="unknown", reason="unconfirmed")
    world.remains = Remains(listed_unknown=frozenset({row.message_id}))
    world.left = [each for each in world.left if each.message_id != row.message_id]


def double_one(world: World) -> None:
    world.left.append(world.left[0])


def double_one_under_another_id(world: World) -> None:
    world.left.append(replace(world.left[0], message_id="other"))


def double_a_marketing_one_that_is_marked(world: World) -> None:
    row = world.row("ann", maybe_doubled=True)
    world.left.append(Left(row.message_id, row.mail))


def send_one_three_times(world: World) -> None:
    row = world.row("bob", maybe_doubled=True)
    world.left += [Left(row.message_id, row.mail)] * 2


def send_what_nobody_asked_for(world: World) -> None:
    mail = Mail("email", "mallory@example.com", "greeting")
    world.left.append(Left("x", mail))
    world.rows.append(Row("x", mail, "marketing", "sent"))


def walk_both_branches(world: World) -> None:
    mail = Mail("email", "ann@example.com", "thanks")
    world.left.append(Left("x", mail))
    world.rows.append(Row("x", mail, "marketing", "sent"))


def say_skipped_of_what_left(world: World) -> None:
    world.row("ann", state="skipped", reason="exited")


def leave_a_claim(world: World) -> None:
    world.row("ann", state="claimed")


def leave_something_open(world: World) -> None:
    world.remains = Remains(enrollments=("parcel of cleo is open",))


def leave_the_outbox(world: World) -> None:
    world.remains = Remains(outbox=("cleo: order_placed",))


def leave_an_unknown_that_nobody_lists(world: World) -> None:
    world.row("ann", state="unknown", reason="unconfirmed")


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (drop_one, "lost"),
        (drop_one_and_its_row, "lost"),
        (drop_a_transactional_one_that_is_unconfirmed, "lost"),
        (double_one, "doubled"),
        (double_one_under_another_id, "doubled"),
        (double_a_marketing_one_that_is_marked, "doubled"),
        (send_one_three_times, "doubled"),
        (send_what_nobody_asked_for, "phantom"),
        (walk_both_branches, "phantom"),
        (say_skipped_of_what_left, "phantom"),
        (leave_a_claim, "stuck"),
        (leave_something_open, "stuck"),
        (leave_the_outbox, "stuck"),
        (leave_an_unknown_that_nobody_lists, "stuck"),
    ],
)
def test_each_planted_error_turns_it_red(plant: Callable[[World], None], found: str) -> None:
    world = World()
    plant(world)
    verdict = world.verdict()
    assert not verdict.is_right
    assert getattr(verdict, found)


def test_what_an_smtp_server_cannot_tell_is_counted_apart() -> None:
    world = World()
    unconfirmed = world.row("ann", state="unknown", reason="unconfirmed")
    world.left = [each for each in world.left if each.message_id != unconfirmed.message_id]
    world.remains = Remains(listed_unknown=frozenset({unconfirmed.message_id}))
    again = world.row("bob", maybe_doubled=True)
    world.left.append(Left(again.message_id, again.mail))
    verdict = world.verdict()
    assert verdict.is_right
    assert (verdict.unknown_and_not_left, verdict.unknown_and_left, verdict.maybe_doubled, verdict.twice_and_marked) == (1, 0, 1, 1)
