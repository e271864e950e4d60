"""Campaigns on every channel beside email: planned, claimed, sent, settled and tallied, with what each channel has of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.campaigns.order import RunOrder
from activities.functions.call import Failed, FunctionCall, NotNow
from activities.functions.delivering import deliveries_by
from activities.rules import NEEDS_CONSENT
from channels.base import Outgoing, Receipt, Rejected
from channels.custom.function import FunctionChannel
from channels.in_app.feed import Feed, Shown
from channels.render import Renderer
from channels.sandbox import Kept, Sandbox
from channels.templates import content_hash
from journeys.language import Cap, custom, email, in_app, push, sms, voice, webhook, whatsapp
from journeys.language.messages import Message
from storage import endpoints, templates
from storage.endpoints import WITHOUT_ADDRESS, Confirmed
from tests.activities.campaigns.blast import Blast
from tests.activities.provider import Provider
from tests.activities.town import APP

REQUIRED = {"template.toml": 'required = ["user.name"]\n'}


@dataclass(frozen=True)
class Case:
    """One channel: what its template has, which addresses the first person has, and what Ada gets of it."""

    message: Message
    files: Mapping[str, str]
    addresses: tuple[str, ...]
    parts: Mapping[str, Any]
    has_way_out: bool = False

    @property
    def channel(self) -> str:
        return self.message.channel

    def addresses_of(self, n: int) -> tuple[str, ...]:
        return tuple(each.replace("1", str(n)) for each in self.addresses)


CASES = [
    Case(
        push("hello"),
        {"push.toml": 'title = "Hi {{ user.name }}"\nbody = "Look"\nurl = "https://a.example/{{ user.user_id }}"\n'},
        ("phone-1", "tablet-1"),
        {"title": "Hi Ada", "body": "Look", "url": "https://a.example/ada"},
    ),
    Case(
        sms("hello"),
        {"sms.txt": "Hi {{ user.name }}, leave: {{ links.unsubscribe }}"},
        ("+4915112345671",),
        {"text": "Hi Ada, leave: https://u/"},
        has_way_out=True,
    ),
    Case(
        whatsapp("hello"),
        {"whatsapp.toml": 'name = "hello"\nlanguage = "en"\nbody = ["{{ user.name }}"]\n'},
        ("+4915112345671",),
        {"template": {"name": "hello", "language": "en", "body": {"1": "Ada"}}},
    ),
    Case(voice("hello"), {"voice.txt": "Hi {{ user.name }}"}, ("+4915112345671",), {"text": "Hi Ada"}),
    Case(in_app("hello"), {"in_app.toml": 'title = "Hi {{ user.name }}"\nbody = "Look"\ninbox = true\n'}, (), {"title": "Hi Ada"}),
    Case(
        webhook("hello"),
        {"webhook.toml": 'url = "https://a.example/hooks"\nbody = \'{"name": {{ user.name | tojson }}}\'\n'},
        ("https://a.example/1",),
        {"url": "https://a.example/hooks", "body": '{"name": "Ada"}'},
    ),
    Case(
        custom("hello"),
        {"custom.toml": 'function = "print_card"\n[fields]\nname = "{{ user.name }}"\n'},
        (),
        {"function": "print_card", "fields": {"name": "Ada"}},
    ),
    Case(
        email("hello"),
        {
            "subject.txt": "Hi {{ user.name }}",
            "body.txt": "Leave: {{ links.unsubscribe }}",
            "template.toml": 'from = "a@example.com"\nrequired = ["user.name"]\n',
        },
        ("a1@example.com",),
        {"subject": "Hi Ada", "text": "Leave: https://u/"},
        has_way_out=True,
    ),
]
each_channel = pytest.mark.parametrize("case", CASES, ids=[case.channel for case in CASES])
each_address = pytest.mark.parametrize("case", [case for case in CASES if case.addresses], ids=[c.channel for c in CASES if c.addresses])


class Shelf:
    """Keeps what leaves, as the sandbox's table does."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []

    async def keep(self, kept: Kept) -> None:
        self.kept.append(kept)


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    found = Renderer(children=1)
    yield found
    await found.close()


@pytest.fixture
def shelf(blast: Blast, renderer: Renderer) -> Shelf:
    """Every channel of the campaign is a sandbox, and templates are rendered as they are in a worker."""
    found = Shelf()
    blast.through = {"renderer": renderer, "adapters": {case.channel: Sandbox(case.channel, found.keep) for case in CASES}}
    return found


async def settle_in(blast: Blast, case: Case, *names: str | None) -> list[int]:
    """People with their addresses on the channel, who agreed where that is needed; without a name nobody knows it."""
    ids = []
    async with blast.town.database.transaction() as connection:
        files = {**REQUIRED, **case.files}
        await templates.publish(connection, APP, "hello", files, content_hash(files))
    for n, name in enumerate(names, 1):
        known: dict[str, Any] = {"tier": "blast"} | ({"name": name} if name else {})
        user_id = (name or f"nobody-{n}").lower()
        statement = "INSERT INTO users (app, user_id, attributes) VALUES ('demo', :user_id, :known) RETURNING id"
        [row] = await blast.town.run(statement, user_id=user_id, known=known)
        await confirm(blast, row.id, case.channel, *case.addresses_of(n))
        if case.channel in NEEDS_CONSENT:
            blast.town.user_id = row.id
            await blast.town.say("granted", channel=case.channel)
        ids.append(row.id)
    return ids


async def confirm(blast: Blast, user_id: int, channel: str, *addresses: str) -> None:
    now = datetime.now(UTC)
    found = [Confirmed(user_id, channel, address, now, {"platform": "fcm"} if channel == "push" else {}) for address in addresses]
    async with blast.town.database.transaction() as connection:
        await endpoints.confirm(connection, APP, found)


async def run(blast: Blast, case: Case, **settings: Any) -> RunOrder:
    order = await blast.launch(**{"message": case.message, **settings})
    await blast.send(order)
    return order


def stand_in(blast: Blast, case: Case, *script: str) -> Provider:
    """A provider of the channel that answers by a script."""
    provider = Provider(list(script), channel=case.channel)
    blast.through = {"adapters": {case.channel: provider}}
    return provider


async def ends_of(blast: Blast, order: RunOrder) -> Mapping[tuple[str, str | None], int]:
    rows = await blast.town.run("SELECT state, reason FROM messages WHERE source = :source", source=f"campaign:{order.run_id}")
    return Counter((row.state, row.reason) for row in rows)


@each_channel
async def test_each_person_gets_it_once_on_each_device_with_its_id_and_it_is_counted(blast: Blast, shelf: Shelf, case: Case) -> None:
    await settle_in(blast, case, "Ada", "Bob", "Cid")
    order = await run(blast, case)
    await blast.send(order)
    many = 3 * max(1, len(case.addresses))
    rows = await blast.town.rows()
    assert Counter(each.message_id for each in shelf.kept) == Counter(row.id for row in rows), "each with its own id, once"
    expected = [address for n in (1, 2, 3) for address in case.addresses_of(n)] or ["ada", "bob", "cid"]
    assert sorted(each.recipient for each in shelf.kept) == sorted(expected)
    assert await blast.ends() == {("sent", None): many}
    assert await blast.tallies(order) == {("planned", None): many, ("sent", None): many}
    assert (await blast.look(order)).chunks == 0
    assert await blast.town.listed() == []
    assert {row.target == "user" for row in rows} == {case.channel in WITHOUT_ADDRESS}


@each_channel
async def test_it_says_what_the_template_has_for_the_channel(blast: Blast, shelf: Shelf, case: Case) -> None:
    await settle_in(blast, case, "Ada")
    await run(blast, case)
    kept = shelf.kept[0]
    for name, value in case.parts.items():
        got = kept.content[name]
        assert got.startswith(value) if case.has_way_out and isinstance(value, str) else got == value
    assert kept.content["unsubscribe_url"].startswith("https://u/demo/"), "marketing has a way out wherever it goes"


@each_channel
async def test_who_left_the_channel_after_the_plan_gets_nothing(blast: Blast, shelf: Shelf, case: Case) -> None:
    ada, _ = await settle_in(blast, case, "Ada", "Bob")
    order = await blast.launch(message=case.message)
    blast.town.user_id = ada
    await blast.town.say("withdrawn", channel=case.channel)
    await blast.send(order)
    devices = max(1, len(case.addresses))
    assert await blast.ends() == {("skipped", "opted_out"): devices, ("sent", None): devices}
    assert {each.recipient for each in shelf.kept} == {*(case.addresses_of(2) or ("bob",))}


@each_channel
async def test_who_lacks_what_the_template_requires_is_skipped_and_nobody_else(blast: Blast, shelf: Shelf, case: Case) -> None:
    await settle_in(blast, case, "Ada", None)
    order = await run(blast, case)
    devices = max(1, len(case.addresses))
    told = {("sent", None): devices, ("skipped", "missing_variable:user.name"): devices}
    assert await blast.ends() == told
    assert await blast.tallies(order) == {("planned", None): 2 * devices, **told}
    assert len(shelf.kept) == devices


@each_channel
async def test_a_template_without_a_part_for_the_channel_sends_nothing(blast: Blast, shelf: Shelf, case: Case) -> None:
    other = CASES[0] if case.channel == "email" else CASES[-1]
    await settle_in(blast, case, "Ada")
    async with blast.town.database.transaction() as connection:
        await templates.publish(connection, APP, "hello", dict(other.files), content_hash(dict(other.files)))
        await templates.activate(connection, APP, "hello", 2)
    await run(blast, case)
    assert set(await blast.ends()) == {("skipped", "no_content_for_channel")}
    assert shelf.kept == []


@pytest.mark.parametrize("case", [case for case in CASES if case.channel in {"sms", "whatsapp", "voice"}], ids=["sms", "whatsapp", "voice"])
async def test_a_phone_that_has_not_agreed_is_not_written_to(blast: Blast, shelf: Shelf, case: Case) -> None:
    await settle_in(blast, case, "Ada", "Bob")
    await blast.town.run("DELETE FROM consents WHERE user_id = (SELECT id FROM users WHERE user_id = 'ada')")
    await run(blast, case)
    assert await blast.ends() == {("skipped", "no_consent"): 1, ("sent", None): 1}


@each_address
async def test_an_address_that_dies_is_not_written_to_by_the_next_run(blast: Blast, case: Case) -> None:
    await settle_in(blast, case, "Ada", "Bob")
    provider = stand_in(blast, case, *["dead_address"] * len(case.addresses), "ok")
    first = await run(blast, case)
    devices = len(case.addresses)
    assert await ends_of(blast, first) == {("rejected", "rejected"): devices, ("sent", None): devices}
    [dead, *_] = [line.address for line in provider.record if not line.taken]
    second = await run(blast, case)
    # A device that is gone may come back: it is not suppressed, and has no message at all while somebody's other device is there.
    against = ("skipped", "inactive_endpoint") if case.channel == "push" else ("skipped", "suppressed")
    assert await ends_of(blast, second) == {against: 1, ("sent", None): devices}
    assert len(await blast.town.run("SELECT 1 FROM suppressions")) == (0 if case.channel == "push" else 1)
    assert [line.taken for line in provider.record if line.address == dead] == [False]


@each_channel
async def test_what_may_have_gone_out_is_unconfirmed_and_never_sent_again(blast: Blast, case: Case) -> None:
    await settle_in(blast, case, "Ada")
    provider = stand_in(blast, case, "ambiguous")
    order = await run(blast, case)
    await blast.let_leases_end()
    await blast.send(order)
    again = await blast.begin(message=case.message, repeats=UUID(order.run_id))
    await blast.runs.plan(again)
    await blast.send(again)
    devices = max(1, len(case.addresses))
    assert await blast.ends() == {("unknown", "unconfirmed"): devices}
    assert len(provider.record) == devices


# Devices ----------------------------------------------------------------------------------------------------------------

PUSH = CASES[0]


async def devices(blast: Blast) -> dict[str, tuple[str, str | None]]:
    return {
        row.address: (row.state, row.reason) for row in await blast.town.run("SELECT address, state, reason FROM endpoints ORDER BY id")
    }


class Movable(Provider):
    """The first device that it hears of has another address from now on."""

    async def _answer(self, word: str, outgoing: Outgoing) -> Receipt:
        return Receipt(moved_to="phone-9") if outgoing.address == "phone-1" else await super()._answer(word, outgoing)


async def test_of_two_devices_the_dead_one_is_used_no_more_and_the_other_gets_the_next(blast: Blast) -> None:
    await settle_in(blast, PUSH, "Ada")
    provider = stand_in(blast, PUSH, "dead_address", "ok")
    await run(blast, PUSH)
    [dead] = [line.address for line in provider.record if not line.taken]
    [alive] = {"phone-1", "tablet-1"} - {dead}
    assert await devices(blast) == {dead: ("inactive", "gone"), alive: ("active", None)}
    await run(blast, PUSH)
    assert provider.taken == [alive, alive]


async def test_a_device_that_its_provider_knows_by_another_address_gets_the_next_there(blast: Blast) -> None:
    await settle_in(blast, PUSH, "Ada")
    provider = Movable(channel="push")
    blast.through = {"adapters": {"push": provider}}
    await run(blast, PUSH)
    await run(blast, PUSH)
    assert Counter(line.address for line in provider.record) == {"phone-1": 1, "phone-9": 1, "tablet-1": 2}


async def test_one_push_to_two_devices_counts_once_against_a_cap_also_from_two_chunks(blast: Blast, shelf: Shelf) -> None:
    await settle_in(blast, PUSH, "Ada")
    await run(blast, PUSH, caps=[Cap(1, per="day")], per_second=1)
    assert await blast.ends() == {("sent", None): 2}
    order = await run(blast, PUSH, caps=[Cap(1, per="day")])
    assert await ends_of(blast, order) == {("skipped", "capped"): 2}
    assert len(shelf.kept) == 2


async def test_who_got_it_on_one_device_gets_it_on_none_when_what_failed_is_sent_again(blast: Blast) -> None:
    await settle_in(blast, PUSH, "Ada", "Bob")
    await blast.town.run("DELETE FROM endpoints WHERE address = 'tablet-2'")

    class Picky(Provider):
        async def _answer(self, word: str, outgoing: Outgoing) -> Receipt:
            if outgoing.address in {"phone-1", "phone-2"}:
                raise Rejected("too large")
            return await super()._answer(word, outgoing)

    blast.through = {"adapters": {"push": Picky(channel="push")}}
    order = await run(blast, PUSH)
    again = await blast.begin(message=PUSH.message, repeats=UUID(order.run_id))
    await blast.runs.plan(again)
    assert await blast.tallies(again) == {("planned", None): 1}
    mended = stand_in(blast, PUSH, "ok")
    await blast.send(again)
    assert mended.taken == ["phone-2"], "Ada's tablet has shown it to her"


# What else a channel has of its own -------------------------------------------------------------------------------------


async def test_a_free_text_on_whatsapp_goes_to_who_wrote_within_a_day(blast: Blast, shelf: Shelf) -> None:
    text = Case(whatsapp("hello"), {"whatsapp.txt": "Hi {{ user.name }}"}, ("+4915112345671",), {})
    await settle_in(blast, text, "Ada", "Bob")
    await blast.town.run("UPDATE endpoints SET replied_at = now() WHERE user_id = (SELECT id FROM users WHERE user_id = 'bob')")
    await run(blast, text)
    assert await blast.ends() == {("skipped", "window_closed"): 1, ("sent", None): 1}
    assert [each.content["text"] for each in shelf.kept] == ["Hi Bob"]


async def test_a_url_that_a_template_names_and_that_is_gone_is_called_no_more(blast: Blast, shelf: Shelf) -> None:
    case = next(case for case in CASES if case.channel == "webhook")
    await settle_in(blast, case, "Ada", "Bob")

    class Gone(Provider):
        async def _answer(self, _word: str, _outgoing: Outgoing) -> Receipt:
            raise Rejected("HTTP 410", suppress=True, address="https://a.example/hooks")

    sandboxes = blast.through
    blast.through = {**sandboxes, "adapters": {"webhook": Gone(channel="webhook")}}
    await run(blast, case)
    blast.through = sandboxes
    order = await run(blast, case)
    assert await ends_of(blast, order) == {("skipped", "suppressed"): 2}
    assert shelf.kept == []


async def test_in_the_app_it_lies_where_the_persons_client_fetches_it(blast: Blast, renderer: Renderer) -> None:
    case = next(case for case in CASES if case.channel == "in_app")
    shown: list[Shown] = []

    async def show(each: Shown) -> bool:
        shown.append(each)
        return each.recipient != "bob"

    blast.through = {"renderer": renderer, "adapters": {"in_app": Feed(show)}}
    await settle_in(blast, case, "Ada", "Bob")
    order = await run(blast, case)
    assert {(each.recipient, each.in_inbox, each.content["title"]) for each in shown} == {("ada", True, "Hi Ada"), ("bob", True, "Hi Bob")}
    assert await blast.ends() == {("sent", None): 1, ("rejected", "rejected"): 1}, "Bob is gone meanwhile"
    assert await blast.tallies(order) == {("planned", None): 2, ("sent", None): 1, ("rejected", "rejected"): 1}


# A function of the house ------------------------------------------------------------------------------------------------

CUSTOM = next(case for case in CASES if case.channel == "custom")


class Printer:
    """A registered function that prints cards, does as `does` says of each person, and remembers what it was given."""

    def __init__(self, **does: Exception | str) -> None:
        self._does = does
        self.calls: list[FunctionCall] = []

    async def print_card(self, call: FunctionCall) -> Mapping[str, Any]:
        self.calls.append(call)
        answer = self._does.get(call.user_id or "", "card")
        if isinstance(answer, Exception):
            raise answer
        return {"ref": f"{answer}-of-{call.user_id}"}


def print_with(blast: Blast, renderer: Renderer, printer: Printer) -> None:
    adapter = FunctionChannel(deliveries_by({"print_card": printer.print_card}))
    blast.through = {"renderer": renderer, "adapters": {"custom": adapter}}


async def by_person(blast: Blast) -> dict[str, Any]:
    rows = await blast.town.run("SELECT u.user_id AS name, m.* FROM messages m JOIN users u ON u.id = m.user_id")
    return {row.name: row for row in rows}


async def test_a_function_gets_each_message_of_a_campaign_with_its_id_and_its_reference_is_kept(blast: Blast, renderer: Renderer) -> None:
    printer = Printer()
    print_with(blast, renderer, printer)
    await settle_in(blast, CUSTOM, "Ada", "Bob")
    order = await run(blast, CUSTOM)
    rows = await by_person(blast)
    assert {(each.app, each.user_id, each.idempotency_key, each.arguments["name"]) for each in printer.calls} == {
        ("demo", "ada", str(rows["ada"].id), "Ada"),
        ("demo", "bob", str(rows["bob"].id), "Bob"),
    }
    assert await blast.tallies(order) == {("planned", None): 2, ("sent", None): 2}
    refs = await blast.town.run("SELECT message_id, provider, ref FROM provider_refs")
    assert {(row.message_id, row.provider, row.ref) for row in refs} == {
        (rows[name].id, "function", f"card-of-{name}") for name in ("ada", "bob")
    }


async def test_a_function_may_refuse_ask_for_later_or_leave_it_unclear(blast: Blast, renderer: Renderer) -> None:
    printer = Printer(ada=Failed("no such card"), bob=NotNow("printer is off", retry_after=timedelta(hours=1)), cid=ZeroDivisionError())
    print_with(blast, renderer, printer)
    await settle_in(blast, CUSTOM, "Ada", "Bob", "Cid", "Dan")
    order = await run(blast, CUSTOM)
    rows = await by_person(blast)
    assert {name: (row.state, row.reason) for name, row in rows.items()} == {
        "ada": ("rejected", "rejected"),
        "bob": ("planned", "not_sent"),
        "cid": ("unknown", "unconfirmed"),
        "dan": ("sent", None),
    }
    assert (rows["ada"].answer, rows["bob"].answer) == ("no such card", "printer is off")
    standing = await blast.look(order)
    assert standing.due_at is not None
    assert standing.due_at - datetime.now(UTC) > timedelta(minutes=55), "not before the function has asked for"
    working = Printer()
    print_with(blast, renderer, working)
    await blast.let_leases_end(timedelta(hours=2))
    await blast.send(order)
    assert [each.user_id for each in working.calls] == ["bob"]
    tries = [each.idempotency_key for each in (*printer.calls, *working.calls) if each.user_id == "bob"]
    assert len(tries) == 2
    assert len(set(tries)) == 1, "the same message keeps its id"
    assert await blast.tallies(order) == {
        ("planned", None): 4,
        ("sent", None): 2,
        ("rejected", "rejected"): 1,
        ("unknown", "unconfirmed"): 1,
    }


async def test_a_worker_without_the_function_leaves_the_messages_to_one_that_has_it(blast: Blast, renderer: Renderer) -> None:
    await settle_in(blast, CUSTOM, "Ada")
    blast.through = {"renderer": renderer, "adapters": {"custom": FunctionChannel({})}}
    order = await run(blast, CUSTOM)
    assert await blast.ends() == {("planned", "not_sent"): 1}
    printer = Printer()
    print_with(blast, renderer, printer)
    await blast.let_leases_end()
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 1}
    assert len(printer.calls) == 1


async def test_two_workers_together_call_the_function_once_for_each(blast: Blast, renderer: Renderer) -> None:
    printer = Printer()
    print_with(blast, renderer, printer)
    await settle_in(blast, CUSTOM, *[f"Person{n}" for n in range(60)])
    order = await blast.launch(message=CUSTOM.message, per_second=10_000)
    await asyncio.gather(blast.process().send(order), blast.process().send(order))
    assert Counter(each.user_id for each in printer.calls) == Counter(f"person{n}" for n in range(60))
