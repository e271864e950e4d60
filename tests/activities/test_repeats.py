"""Where the provider keeps our id, what may have gone out is sent again, and its reader gets it once."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities import traffic
from activities.unknowns import Sweeper
from channels.base import Content, Outgoing, Receipt
from channels.email.resend import Resend, ResendAccount
from storage.database import Connection
from storage.direct_sends import DirectSend, plan_direct
from storage.messages import Note, note_accounts
from tests.activities.provider import Death
from tests.activities.several import Several
from tests.activities.town import APP, Town, enroll, order_of
from tests.channels.email.keeping_resend import KeepingResend, keeping_resend

SENDER = {"from": "us@acme.example", "subject": "Hi"}
SOON = timedelta(seconds=31)


@dataclass
class MailRenderer:
    """A mail that says which version of its template made it."""

    async def render(self, _name: str, version: int, _files: Mapping[str, str], channel: str, _variables: Mapping[str, Any]) -> Content:
        return Content(channel, {**SENDER, "text": f"version {version}"})


class Dying(Resend):
    """The process dies when the answer is there."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        await super().send(outgoing)
        raise Death


@dataclass
class Rig:
    town: Town
    resend: KeepingResend
    several: Several = field(init=False)
    made: list[Resend] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.town.renderer = MailRenderer()  # type: ignore[assignment]
        self.several = Several(self.town)
        self.several.adapter("main", self.adapter())

    def adapter(self, kind: type[Resend] = Resend) -> Resend:
        self.made.append(kind(ResendAccount("re_key", base_url=self.resend.base_url)))
        return self.made[-1]

    async def ask(self, number: int = 1, message_class: str = "marketing") -> None:
        parts = {"parts": {**SENDER, "text": "Ho"}}
        send = DirectSend(APP, f"r-{number}", "email", message_class, parts, None, f"p{number}@example.com")
        async with self.town.database.transaction(APP) as connection:
            await plan_direct(connection, send)

    async def sweep(self) -> None:
        await Sweeper(self.town.database, self.town.timing).sweep()

    async def go_on(self, by: timedelta = SOON) -> None:
        """Let the time pass, and the sweeper and a fresh lane look."""
        await self.town.age_unknowns(by)
        await self.sweep()
        await self.several.make_due()
        await self.several.lane().pass_once()

    @property
    def mails(self) -> list[int]:
        return list(self.resend.mails.values())

    async def ends(self) -> list[tuple[str, str | None, bool]]:
        return [(row.state, row.reason, row.maybe_doubled) for row in await self.town.rows()]


@pytest.fixture
async def rig(town: Town) -> AsyncIterator[Rig]:
    async with keeping_resend() as resend:
        made = Rig(town, resend)
        yield made
        for adapter in made.made:
            await adapter.close()


@pytest.mark.parametrize("message_class", ["marketing", "transactional"])
@pytest.mark.parametrize("word", ["cut", "take_and_cut", "take_and_500", "under_way"])
async def test_what_may_have_gone_out_is_sent_again_and_arrives_once(rig: Rig, word: str, message_class: str) -> None:
    rig.resend.script[:] = [word, "ok"]
    await rig.ask(message_class=message_class)
    await rig.several.lane().pass_once()
    assert (await rig.ends(), await rig.town.listed()) == ([("unknown", "unconfirmed", False)], ["unknown"])
    await rig.sweep()
    assert len(rig.resend.requests) == 1, "not at once"
    await rig.go_on()
    assert (await rig.ends(), await rig.town.listed()) == ([("sent", None, False)], [])
    assert (rig.mails, len(rig.resend.requests)) == ([1], 2)
    assert await rig.town.run("SELECT ref FROM provider_refs") != []


async def test_whatever_a_provider_answers_everybody_gets_one_mail(rig: Rig) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown with a failure
    words = random.Random(seed).choices(["ok", "cut", "take_and_cut", "take_and_500", "under_way", "throttled"], k=150)
    rig.resend.script[:] = [*words, "ok"]
    for number in range(40):
        await rig.ask(number, "marketing" if number % 2 else "transactional")
    for _ in range(12):
        await rig.go_on(timedelta(minutes=11))
    assert await rig.ends() == [("sent", None, False)] * 40
    assert rig.mails == [1] * 40


async def test_messages_that_leave_together_are_written_down_together(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    async def counted(connection: Connection, app: str, notes: Sequence[Note]) -> frozenset[UUID]:
        written.append(len(notes))
        return await note_accounts(connection, app, notes)

    monkeypatch.setattr(traffic, "note_accounts", counted)
    for number in range(40):
        await rig.ask(number)
    await rig.several.lane().pass_once()
    assert await rig.ends() == [("sent", None, False)] * 40
    assert (sum(written), len(written) <= 4) == (40, True), written


async def test_whose_claim_is_not_ours_any_more_is_told_apart_from_those_whose_is(rig: Rig) -> None:
    await rig.ask(1)
    await rig.ask(2)
    rows = await rig.town.run(
        "UPDATE messages SET state = 'claimed', claim_epoch = 2, claimed_at = clock_timestamp(), claim_until = claimed_at RETURNING id"
    )
    ours, other = (row.id for row in rows)
    notes = [Note(other, 1, "main", timedelta(hours=23)), Note(ours, 2, "main", timedelta(hours=23)), Note(uuid4(), 2, "main")]
    async with rig.town.database.transaction() as connection:
        assert await note_accounts(connection, APP, notes) == {ours}
    noted = await rig.town.run("SELECT id, account, repeat_until - claimed_at AS kept FROM messages WHERE account IS NOT NULL")
    assert [(row.id, row.account, row.kept) for row in noted] == [(ours, "main", timedelta(hours=23))]


async def test_a_journeys_marketing_mail_waits_for_its_repeat_and_goes_on(rig: Rig) -> None:
    rig.resend.script[:] = ["take_and_cut", "ok"]
    await rig.town.endpoint()
    order = order_of(await enroll(rig.town))
    first = await rig.several.hands().deliver(order)
    assert (first.status, first.sent, first.reasons) == ("again", True, ("unconfirmed",))
    assert (await rig.several.hands().deliver(order)).status == "again"
    await rig.town.age_unknowns(SOON)
    verdict = await rig.several.hands().deliver(order)
    assert (verdict.status, verdict.sent, rig.mails) == ("settled", True, [1])


async def test_a_worker_that_died_with_the_answer_in_its_hand_leaves_nobody_with_two_mails(rig: Rig) -> None:
    rig.several.opened.clear()
    rig.several.adapter("main", rig.adapter(Dying))
    await rig.town.endpoint()
    order = order_of(await enroll(rig.town))
    with pytest.raises(Death):
        await rig.several.hands().deliver(order)
    rig.several.opened.clear()
    rig.several.adapter("main", rig.adapter())
    rig.several.account("newer", place=0)
    await rig.town.age_claims()
    await rig.sweep()
    assert await rig.ends() == [("unknown", "unconfirmed", False)]
    await rig.town.age_unknowns(SOON)
    verdict = await rig.several.hands().deliver(order)
    assert (verdict.status, verdict.sent, rig.mails) == ("settled", True, [1])
    assert await rig.several.accounts_of() == [("sent", "resend", "main")]


async def test_the_repeat_says_what_was_said_before_although_the_template_has_changed(rig: Rig) -> None:
    rig.resend.script[:] = ["take_and_cut", "ok"]
    await rig.town.endpoint()
    order = order_of(await enroll(rig.town))
    await rig.several.hands().deliver(order)
    await rig.town.run(
        "WITH t AS (UPDATE templates SET live_version = 2) INSERT INTO template_versions (app, template, version, hash, files)"
        " VALUES ('demo', 'welcome', 2, 'h2', '{}')"
    )
    await rig.town.age_unknowns(SOON)
    await rig.several.hands().deliver(order)
    assert [request.json()["text"] for request in rig.resend.requests] == ["version 1"] * 2
    assert [(row.state, row.template_version) for row in await rig.town.rows()] == [("sent", 1)]


@pytest.mark.parametrize("waits_as", ["unknown", "planned"])
async def test_once_the_provider_has_forgotten_the_key_marketing_is_never_sent_again(rig: Rig, waits_as: str) -> None:
    rig.resend.script[:] = ["take_and_cut", "throttled" if waits_as == "planned" else "cut", "ok"]
    await rig.ask()
    await rig.several.lane().pass_once()
    await rig.go_on()
    assert [row.state for row in await rig.town.rows()] == [waits_as]
    await rig.town.run("UPDATE messages SET repeat_until = clock_timestamp()")
    rig.resend.forget()
    await rig.go_on(timedelta(hours=73))
    assert (await rig.ends(), rig.mails) == ([("given_up", "unconfirmed", False)], [1])


async def test_then_a_transactional_one_goes_out_once_more_and_says_so(rig: Rig) -> None:
    rig.resend.script[:] = ["take_and_cut", "throttled", "ok"]
    await rig.ask(message_class="transactional")
    await rig.several.lane().pass_once()
    await rig.go_on()
    await rig.town.run("UPDATE messages SET repeat_until = clock_timestamp()")
    rig.resend.forget()
    await rig.go_on()
    assert (await rig.ends(), rig.mails) == ([("sent", None, True)], [2])


async def test_who_has_left_meanwhile_gets_no_repeat(rig: Rig) -> None:
    rig.resend.script[:] = ["cut", "ok"]
    await rig.town.endpoint()
    order = order_of(await enroll(rig.town))
    await rig.several.hands().deliver(order)
    await rig.town.say("withdrawn")
    await rig.town.age_unknowns(SOON)
    await rig.several.hands().deliver(order)
    assert (await rig.ends(), rig.mails) == ([("given_up", "unconfirmed", False)], [])


async def test_where_the_content_has_changed_nothing_more_can_be_learned_and_nothing_is_repeated(rig: Rig) -> None:
    rig.resend.script[:] = ["take_and_cut", "ok"]
    await rig.ask()
    await rig.several.lane().pass_once()
    await rig.town.run("UPDATE direct_sends SET content = jsonb_set(content, '{parts,text}', '\"other\"')")
    await rig.go_on()
    await rig.go_on()
    assert (await rig.ends(), rig.mails, len(rig.resend.requests)) == ([("unknown", "unconfirmed", False)], [1], 2)


@pytest.mark.parametrize("word", ["under_way", "cut"])
async def test_a_repeat_goes_through_the_account_that_may_have_it_and_no_other(rig: Rig, word: str) -> None:
    other = rig.several.account("other", place=2)
    rig.resend.script[:] = [word, "throttled", "ok"]
    await rig.ask()
    await rig.several.lane().pass_once()
    await rig.go_on()
    main = rig.several.opened.pop(0)
    await rig.go_on()
    assert await rig.ends() == [("planned", "no_account", False)]
    rig.several.opened.insert(0, main)
    await rig.go_on()
    assert (await rig.several.accounts_of(), rig.mails, other.record) == ([("sent", "resend", "main")], [1], [])


async def test_what_was_certainly_not_sent_there_is_free_to_go_elsewhere(rig: Rig) -> None:
    rig.resend.script[:] = ["throttled"]
    await rig.ask()
    await rig.several.lane().pass_once()
    assert [(row.state, row.repeat_until) for row in await rig.town.rows()] == [("planned", None)]
    other = rig.several.account("other", place=0)
    await rig.go_on()
    assert (other.taken, rig.mails) == (["p1@example.com"], [])
