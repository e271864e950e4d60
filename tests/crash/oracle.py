"""What must have gone out, worked out from the client's journal alone, and compared with what did. Pure: knows no product code."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OFFERED_TO = frozenset({"errand_run", "notice_given"})
CLASSES = {"errand_run": "marketing", "notice_given": "transactional", "parcel_sent": "marketing"}
BOUGHT = "order_placed"
MAY_HAVE_LEFT = frozenset({"unknown", "given_up"})


@dataclass(frozen=True, order=True)
class Mail:
    """One message as its receiver knows it; nobody is to get it twice."""

    channel: str
    address: str
    template: str


@dataclass(frozen=True)
class Left:
    """One thing that the outside world has seen."""

    message_id: str
    mail: Mail


@dataclass(frozen=True)
class Row:
    """One row of the ledger."""

    message_id: str
    mail: Mail
    message_class: str
    state: str
    reason: str | None = None
    maybe_doubled: bool = False


@dataclass(frozen=True)
class Remains:
    """What is still open after everything went quiet, each as something a person can look up."""

    outbox: Sequence[str] = ()
    claims: Sequence[str] = ()
    enrollments: Sequence[str] = ()
    quarantine: Sequence[str] = ()
    listed_unknown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """`lost`, `doubled`, `phantom` and `stuck` must be empty. What an SMTP server cannot tell is counted apart."""

    expected: int
    left: int
    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    phantom: Sequence[str] = ()
    stuck: Sequence[str] = ()
    maybe_doubled: int = 0
    twice_and_marked: int = 0
    unknown_and_left: int = 0
    unknown_and_not_left: int = 0

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.phantom or self.stuck)

    def figures(self) -> dict[str, int]:
        return {name: len(value) if isinstance(value, Sequence) else value for name, value in vars(self).items()}


@dataclass
class _Person:
    """What the journal says that one person did: `sure` when a call with it was answered ok, else it may or may not have arrived."""

    addresses: dict[str, str] = field(default_factory=dict)
    did: dict[str, bool] = field(default_factory=dict)


def expected(journal: Iterable[Mapping[str, Any]]) -> tuple[frozenset[Mail], frozenset[Mail]]:
    """The messages that must go out, and those that may besides because a call was never answered."""
    calls: dict[int, Sequence[Mapping[str, Any]]] = {}
    answered: set[int] = set()
    for entry in journal:
        if entry["phase"] == "invoke":
            calls[entry["call"]] = entry["items"]
        elif entry["phase"] == "ok":
            answered.add(entry["call"])
    people: dict[str, _Person] = {}
    for call, items in calls.items():
        for item in items:
            _note(people.setdefault(item["userId"], _Person()), item, is_sure=call in answered)
    sure = frozenset(mail for person in people.values() for mail in _mails(person, is_sure=True))
    possible = frozenset(mail for person in people.values() for mail in _mails(person, is_sure=False))
    return sure, possible - sure


def _note(person: _Person, item: Mapping[str, Any], *, is_sure: bool) -> None:
    if item["type"] == "identify":
        traits = item["traits"]
        person.addresses |= {"email": traits["email"], "sms": traits["phone"], "push": item["context"]["device"]["token"]}
    else:
        person.did[item["event"]] = person.did.get(item["event"], False) or is_sure


def _mails(person: _Person, *, is_sure: bool) -> list[Mail]:
    """The three journeys of the run, said once more in other words. `is_sure` False: everything that could be true."""
    came = {name for name, was_sure in person.did.items() if was_sure or not is_sure}
    bought, may_have_bought = person.did.get(BOUGHT, False), BOUGHT in person.did
    way_in = next((name for name in CLASSES if name in came), None)
    if way_in is None:
        return []
    went = [("email", "greeting"), ("push", "nudge")]
    if bought or (may_have_bought and not is_sure):
        went.append(("email", "thanks"))
    if way_in in OFFERED_TO and not (bought or (may_have_bought and is_sure)):
        went.append(("sms", "offer"))
    return [Mail(channel, person.addresses[channel], template) for channel, template in went]


def judge(journal: Iterable[Mapping[str, Any]], left: Sequence[Left], rows: Sequence[Row], remains: Remains) -> Verdict:
    """Hold what must be against what went out, against the ledger, and against what is still open."""
    sure, possible = expected(journal)
    went = Counter(each.mail for each in left)
    unknown = [row for row in rows if row.state in MAY_HAVE_LEFT]
    return Verdict(
        expected=len(sure),
        left=len(left),
        lost=_lost(sure, went, rows),
        doubled=_doubled(left, went, rows),
        phantom=_phantom(sure | possible, left, rows),
        stuck=_stuck(rows, remains),
        maybe_doubled=sum(row.maybe_doubled for row in rows),
        twice_and_marked=sum(went[row.mail] == 2 for row in rows if row.maybe_doubled),
        unknown_and_left=sum(went[row.mail] > 0 for row in unknown),
        unknown_and_not_left=sum(went[row.mail] == 0 for row in unknown),
    )


def _lost(sure: frozenset[Mail], went: Counter[Mail], rows: Sequence[Row]) -> list[str]:
    """Nobody saw it. A row that says so (unconfirmed, and by its class not to be tried again) is counted apart."""
    told = {row.mail for row in rows if row.state in MAY_HAVE_LEFT and (row.message_class == "marketing" or row.maybe_doubled)}
    known = {row.mail: f"{row.state}, {row.reason}" for row in rows}
    silent = [f"{mail} never left: {known.get(mail, 'no row')}" for mail in sorted(sure) if not went[mail] and mail not in told]
    return silent + [f"{row.mail} is sent in the ledger and nowhere else" for row in rows if row.state == "sent" and not went[row.mail]]


def _doubled(left: Sequence[Left], went: Counter[Mail], rows: Sequence[Row]) -> list[str]:
    most = {row.mail: 2 if row.maybe_doubled and row.message_class == "transactional" else 1 for row in rows}
    twice = [f"{mail} left {times} times" for mail, times in sorted(went.items()) if times > most.get(mail, 1)]
    ids: dict[Mail, set[str]] = {}
    for mail, number in [*((each.mail, each.message_id) for each in left), *((row.mail, row.message_id) for row in rows)]:
        ids.setdefault(mail, set()).add(number)
    return twice + [f"{mail} has {len(numbers)} ids" for mail, numbers in sorted(ids.items()) if len(numbers) > 1]


def _phantom(meant: frozenset[Mail], left: Sequence[Left], rows: Sequence[Row]) -> list[str]:
    by_id = {row.message_id: row.state for row in rows}
    unasked = [f"{mail} was not to go out" for mail in sorted({each.mail for each in left} - meant)]
    untold = [
        f"{each.mail} left, and the ledger says {by_id.get(each.message_id, 'nothing')}"
        for each in left
        if by_id.get(each.message_id) not in {"sent", *MAY_HAVE_LEFT}
    ]
    return unasked + untold


def _stuck(rows: Sequence[Row], remains: Remains) -> list[str]:
    open_rows = [f"{row.mail} is {row.state}" for row in rows if row.state in {"planned", "deferred", "claimed"}]
    unlisted = [
        f"{row.mail} is unknown and not listed" for row in rows if row.state == "unknown" and row.message_id not in remains.listed_unknown
    ]
    unexplained = [f"{row.mail} is {row.state} without a reason" for row in rows if row.state in MAY_HAVE_LEFT and not row.reason]
    return [*open_rows, *unlisted, *unexplained, *remains.outbox, *remains.claims, *remains.enrollments, *remains.quarantine]
