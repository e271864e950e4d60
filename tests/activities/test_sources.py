"""What templates look up outside: fetched together, remembered, and given up on as each source says, whatever the source does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event

from activities.direct import DirectLane
from activities.messages import Messages
from activities.sources import SourceAway, Sources
from channels.base import Content
from channels.egress import Egress
from channels.lookups import Lookups
from channels.render import Renderer, RenderFailed
from journeys.language import Http, Rows, Source, Table, hours, seconds
from journeys.language.codec import source_hash, source_to_json
from journeys.language.errors import Unavailable
from storage import sources, templates
from storage.database import Database
from storage.direct_sends import DirectSend
from storage.sealing import Seal
from tests.activities.test_direct import ask
from tests.activities.town import APP, Town, enroll, no_condition_holds, order_of

SEAL = Seal(["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="])
SAYS = "{{ source.product[entry.id].name }}"


@dataclass
class Shop:
    """A service: what it says of each key is a dict (JSON), bytes as they are, or a function of the writer. It counts who is there."""

    said: dict[str, Any] = field(default_factory=dict)
    otherwise: Any = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0
    delay_s: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/p/{{key}}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                key = first.split(" ")[1].removeprefix("/p/")
                self.asked.append((key, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}))
                await asyncio.sleep(self.delay_s)
                said = self.said.get(key, self.otherwise)
                writer.write(said if isinstance(said, bytes) else answer(orjson.dumps(said)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


def answer(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await made.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


Asking = Callable[..., Sources]


@pytest.fixture
async def asking(database: Database) -> AsyncIterator[Asking]:
    """Makes what asks sources; closed at the end."""
    made: list[Sources] = []

    def make(*, clock: Clock | None = None, outside: Database | None = None, egress: Egress | None = None) -> Sources:
        lookups = Lookups(egress or Egress(may_reach_loopback=True))
        made.append(Sources(database, SEAL, lookups, outside, *([clock] if clock else [])))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def publish(database: Database, source: Source, rows: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    async with database.transaction() as connection:
        await sources.publish(connection, APP, source.name, source_to_json(source).decode(), source_hash(source))
        if rows is not None:
            await sources.put_rows(connection, APP, source.name, rows, "rows")


async def test_many_messages_of_one_moment_ask_each_key_once_and_remember_it(database: Database, asking: Asking, shop: Shop) -> None:
    shop.said = {str(number): {"name": f"thing {number}"} for number in range(10)}
    await publish(database, Source("product", Http(shop.url, cache=seconds(60))))
    clock = Clock()
    outside = asking(clock=clock)
    found = await asyncio.gather(*(outside.look(APP, "product", str(number % 10)) for number in range(50)))
    assert [each["name"] for each in found] == [f"thing {number % 10}" for number in range(50)]
    assert sorted(key for key, _ in shop.asked) == [str(number) for number in range(10)]
    await outside.look(APP, "product", "3")
    assert len(shop.asked) == 10
    clock.now += 61
    await outside.look(APP, "product", "3")
    assert len(shop.asked) == 11


async def test_fifty_messages_read_their_rows_with_one_statement(database: Database, asking: Asking) -> None:
    await publish(database, Source("product", Rows(key="sku")), {f"A-{number}": {"sku": f"A-{number}"} for number in range(50)})
    outside = asking()
    statements: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    found = await asyncio.gather(*(outside.look(APP, "product", f"A-{number}") for number in range(50)))
    assert found == [{"sku": f"A-{number}"} for number in range(50)]
    assert len([each for each in statements if "FROM source_rows" in each]) == 1


async def test_new_rows_are_seen_although_the_old_ones_were_remembered(database: Database, asking: Asking) -> None:
    await publish(database, Source("product", Rows(key="sku")), {"A": {"name": "old"}})
    clock = Clock()
    outside = asking(clock=clock)
    assert await outside.look(APP, "product", "A") == {"name": "old"}
    await publish(database, Source("product", Rows(key="sku")), {"A": {"name": "new"}})
    clock.now += 6
    assert await outside.look(APP, "product", "A") == {"name": "new"}


async def test_the_rows_of_another_app_are_not_found(database: Database, asking: Asking) -> None:
    await publish(database, Source("product", Rows(key="sku")), {"A": {"name": "ours"}})
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
    with pytest.raises(RenderFailed, match="no_source:product"):
        await asking().look("other", "product", "A")


RUBBISH = {
    "no JSON": answer(b"<html>"),
    "not as JSON": answer(b"{}", kind="text/html"),
    "a number": answer(b"7"),
    "an error": answer(b"{}", status="500 Oops"),
    "somewhere else": answer(b"{}", status="302 Found", more="Location: http://169.254.169.254/latest/meta-data\r\n"),
    "too much": answer(orjson.dumps({"a": "x" * 70_000})),
    "packed": answer(b"{}", more="Content-Encoding: gzip\r\n"),
    "cut in the middle": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    "no HTTP": b"220 smtp.example.com ready\r\n\r\n",
}


@pytest.mark.parametrize("said", RUBBISH.values(), ids=RUBBISH)
async def test_what_is_no_answer_skips_the_message_and_is_not_remembered(
    database: Database, asking: Asking, shop: Shop, said: bytes
) -> None:
    shop.said["a"] = said
    await publish(database, Source("product", Http(shop.url, timeout=seconds(1))))
    outside = asking()
    with pytest.raises(RenderFailed) as failed:
        await outside.look(APP, "product", "a")
    assert failed.value.code == "source_failed:product"
    assert "x" * 10 not in failed.value.why
    shop.said["a"] = {"name": "Chair"}
    assert await outside.look(APP, "product", "a") == {"name": "Chair"}
    assert {key for key, _ in shop.asked} == {"a"}


async def test_rubbish_for_one_key_keeps_nobody_from_asking_for_another(database: Database, asking: Asking, shop: Shop) -> None:
    shop.said = {"good": {"name": "Chair"}, **{str(number): answer(b"<html>") for number in range(5)}}
    await publish(database, Source("product", Http(shop.url)))
    outside = asking()
    for number in range(5):
        with pytest.raises(RenderFailed):
            await outside.look(APP, "product", str(number))
    assert await outside.look(APP, "product", "good") == {"name": "Chair"}


async def test_a_key_cannot_lead_to_another_place(database: Database, asking: Asking, shop: Shop) -> None:
    await publish(database, Source("product", Http(shop.url)))
    assert await asking().look(APP, "product", "../secret?x=1#y\r\nHost: evil") is None
    assert [key for key, _ in shop.asked] == ["..%2Fsecret%3Fx%3D1%23y%0D%0AHost%3A%20evil"]


async def test_an_address_inside_is_not_asked(database: Database, asking: Asking, shop: Shop) -> None:
    await publish(database, Source("product", Http(shop.url)))
    with pytest.raises(RenderFailed) as failed:
        await asking(egress=Egress()).look(APP, "product", "a")
    assert (failed.value.code, failed.value.why) == ("source_failed:product", "the address is not a public one")
    assert shop.asked == []


async def test_a_slow_source_costs_a_message_its_timeout_and_the_next_ones_nothing(database: Database, asking: Asking, shop: Shop) -> None:
    shop.delay_s = 30
    await publish(database, Source("product", Http(shop.url, timeout=seconds(1)), failing="default", default={"name": "?"}))
    clock = Clock()
    outside = asking(clock=clock)
    loop = asyncio.get_running_loop()
    began, beats = loop.time(), 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    found = await asyncio.gather(*(outside.look(APP, "product", str(number)) for number in range(30)))
    took = loop.time() - began
    beating.cancel()
    assert found == [{"name": "?"}] * 30
    assert took < 3
    assert beats > 20
    began = loop.time()
    assert await outside.look(APP, "product", "next") == {"name": "?"}
    assert loop.time() - began < 0.5
    shop.delay_s = 0
    clock.now += 6
    shop.said["next"] = {"name": "Chair"}
    assert await outside.look(APP, "product", "next") == {"name": "Chair"}


async def test_a_source_that_goes_away_in_the_middle_fails_only_what_it_did_not_answer(
    database: Database, asking: Asking, shop: Shop
) -> None:
    shop.said = {"a": {"name": "A"}, "b": answer(b"", status="503 Away")}
    await publish(database, Source("product", Http(shop.url)))
    outside = asking()
    answers: list[Any] = await asyncio.gather(*(outside.look(APP, "product", key) for key in "ab"), return_exceptions=True)
    assert answers[0] == {"name": "A"}
    assert isinstance(answers[1], RenderFailed)


async def test_a_secret_header_goes_only_to_the_host_it_was_given_for(database: Database, asking: Asking, shop: Shop) -> None:
    shop.otherwise = {"name": "Chair"}
    await publish(database, Source("product", Http(shop.url, headers=("Authorization",), cache=seconds(0))))
    clock = Clock()
    outside = asking(clock=clock)
    with pytest.raises(RenderFailed) as failed:
        await outside.look(APP, "product", "a")
    assert "the header Authorization is not set" in failed.value.why
    assert shop.asked == []
    async with database.transaction() as connection:
        await sources.put_headers(connection, APP, "product", SEAL, f"http://127.0.0.1:{shop.port}", {"Authorization": "Bearer s3cret"})
        stored = (await connection.exec_driver_sql("SELECT sealed FROM sources")).scalar_one()
    assert b"s3cret" not in stored
    clock.now += 6
    await outside.look(APP, "product", "a")
    assert shop.asked[-1][1]["authorization"] == "Bearer s3cret"
    await publish(database, Source("product", Http(shop.url.replace("127.0.0.1", "localhost"), headers=("Authorization",))))
    clock.now += 6
    with pytest.raises(RenderFailed):
        await outside.look(APP, "product", "a")
    assert len(shop.asked) == 1


async def test_what_a_source_lacks_is_its_default_or_nothing(database: Database, asking: Asking, shop: Shop) -> None:
    await publish(database, Source("product", Http(shop.url), failing="default", default={"name": "something"}))
    await publish(database, Source("brand", Http(shop.url)))
    outside = asking()
    assert await outside.look(APP, "product", "gone") == {"name": "something"}
    assert await outside.look(APP, "brand", "gone") is None


async def test_who_would_be_skipped_does_not_wait(database: Database, asking: Asking, shop: Shop) -> None:
    shop.otherwise = answer(b"", status="503 Away")
    await publish(database, Source("patient", Http(shop.url), failing="wait", wait_at_most=hours(1)))
    await publish(database, Source("hasty", Http(shop.url), failing="skip"))
    outside = asking()

    async def render(rows: Mapping[str, Any]) -> Content:
        return (await renderer.render("t", 1, {"sms.txt": text}, "sms", {"source": rows})) if rows is not None else Content("sms", {})

    renderer = Renderer(children=1, wall_s=60)
    text = "{{ source.patient['a'].name }}"
    with pytest.raises(SourceAway):
        await outside.filled(APP, render)
    text += "{{ source.hasty['a'].name }}"
    with pytest.raises(RenderFailed, match="source_failed:hasty"):
        await outside.filled(APP, render)
    await renderer.close()


async def test_lookups_that_depend_on_each_other_come_one_after_the_other_and_end(database: Database, asking: Asking) -> None:
    rows = {str(number): {"next": str(number + 1), "name": f"n{number}"} for number in range(9)}
    await publish(database, Source("step", Rows(key="id")), rows)
    renderer, outside = Renderer(children=1, wall_s=60), asking()

    async def said(depth: int) -> str:
        text = "'0'"
        for _ in range(depth - 1):
            text = f"source.step[{text}].next"

        async def render(found: Mapping[str, Any]) -> Content:
            return await renderer.render("t", 1, {"sms.txt": f"{{{{ source.step[{text}].name }}}}"}, "sms", {"source": found})

        return str((await outside.filled(APP, render)).parts["text"])

    assert await said(3) == "n2"
    with pytest.raises(RenderFailed) as failed:
        await said(6)
    assert failed.value.code == "source_failed"
    await renderer.close()


@pytest.fixture
async def shelf(database: Database, database_url: str) -> AsyncIterator[Database]:
    """The database of somebody else, as the source reads it: here another connection to the same one."""
    async with database.transaction() as connection:
        await connection.exec_driver_sql("CREATE SCHEMA shop")
        await connection.exec_driver_sql("CREATE TABLE shop.products (id integer PRIMARY KEY, name text, app text)")
        await connection.exec_driver_sql("INSERT INTO shop.products SELECT n, 'thing ' || n, 'demo' FROM generate_series(1, 100) n")
        await connection.exec_driver_sql("CREATE VIEW shop.mine AS SELECT * FROM shop.products WHERE app = current_setting('sojourn.app')")
        await connection.exec_driver_sql("CREATE VIEW shop.slow AS SELECT id, name, pg_sleep(20)::text FROM shop.products")
        await connection.exec_driver_sql(
            "CREATE FUNCTION shop.spoil() RETURNS integer LANGUAGE sql AS $$ UPDATE shop.products SET name = 'spoilt' RETURNING 1 $$"
        )
        await connection.exec_driver_sql("CREATE VIEW shop.evil AS SELECT id, shop.spoil() FROM shop.products")
    opened = Database(database_url, pool_size=2)
    yield opened
    await opened.close()


async def test_a_table_is_read_by_its_key_and_a_key_it_cannot_have_fails_nobody(
    database: Database, asking: Asking, shelf: Database
) -> None:
    await publish(database, Source("product", Table("shop.products", key="id")))
    outside = asking(outside=shelf)
    keys = ["1", "007", "x'; DROP TABLE shop.products --", "99999999999999999999", "500", "-1"]
    found = await asyncio.gather(*(outside.look(APP, "product", key) for key in keys))
    assert [each and each["name"] for each in found] == ["thing 1", "thing 7", None, None, None, None]


async def test_a_view_sees_the_app(database: Database, asking: Asking, shelf: Database) -> None:
    await publish(database, Source("product", Table("shop.mine", key="id")))
    assert (await asking(outside=shelf).look(APP, "product", "5"))["name"] == "thing 5"


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [
        ("shop.nothing", "id", "there is no such table"),
        ("shop.products", "colour", "there is no such table, or it has no such column"),
        ("shop.slow", "id", "reading takes longer than its timeout (57014)"),
        ("shop.evil", "id", "it is a view that writes (25006)"),
    ],
)
async def test_a_table_that_cannot_be_read_fails_the_source(
    database: Database, asking: Asking, shelf: Database, table: str, key: str, why: str
) -> None:
    await publish(database, Source("product", Table(table, key=key, timeout=seconds(1))))
    with pytest.raises(RenderFailed) as failed:
        await asking(outside=shelf).look(APP, "product", "5")
    assert why in failed.value.why


async def test_a_table_without_a_database_says_which_setting_is_empty(database: Database, asking: Asking) -> None:
    await publish(database, Source("product", Table("shop.products", key="id")))
    with pytest.raises(RenderFailed) as failed:
        await asking().look(APP, "product", "5")
    assert failed.value.why == "SOJOURN_SOURCE_DATABASE_URL is empty"


async def test_our_own_postgres_that_is_away_skips_nothing(database: Database, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(database, Source("product", Rows(key="sku"), failing="default", default={"name": "?"}), {"A": {"name": "Chair"}})
    outside = asking()

    async def away(*_: object) -> dict[str, Any]:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(sources, "rows", away)
        for _ in range(4):
            with pytest.raises(Unavailable) as failed:
                await outside.look(APP, "product", "A")
    assert not isinstance(failed.value, SourceAway)
    assert await outside.look(APP, "product", "A") == {"name": "Chair"}


async def test_a_send_of_a_journey_waits_for_its_source_too(town: Town, asking: Asking, shop: Shop) -> None:
    shop.otherwise = answer(b"", status="503 Away")
    await publish(town.database, Source("product", Http(shop.url), failing="wait"))
    async with town.database.transaction() as connection:
        files = {"subject.txt": "{{ source.product[entry.plan].name }}", "body.txt": "x", "template.toml": 'from = "a@example.com"'}
        await templates.publish(connection, APP, "welcome", files, "asks")
    await town.endpoint()
    renderer = Renderer(children=1, wall_s=60)
    hands = Messages(town.database, replace(town.delivery(), renderer=renderer, sources=asking()), no_condition_holds)
    order = order_of(await enroll(town), may_wait=True)
    waits = await hands.deliver(order)
    assert (waits.status, waits.reasons) == ("again", ("source_away:product",))
    shop.otherwise = {"name": "Chair"}
    assert (await hands.deliver(order)).status == "settled"
    await hands.drain()
    await renderer.close()
    assert town.provider.seen[0].content.parts["subject"] == "Chair"


async def lane(town: Town, outside: Sources, renderer: Renderer) -> DirectLane:
    return DirectLane(town.database, replace(town.delivery(), renderer=renderer, sources=outside), asyncio.Event())


async def planned(town: Town, text: str, count: int) -> None:
    async with town.database.transaction() as connection:
        await templates.publish(connection, APP, "offer", {"sms.txt": text}, text)
    for number in range(count):
        what = {"template": "offer", "data": {"id": f"A-{number}"}}
        await ask(town, DirectSend(APP, f"o-{number}", "sms", "transactional", what, None, f"+4917012345{number:02}"))


async def test_a_chunk_of_messages_leaves_with_one_statement_for_all_its_rows(town: Town, asking: Asking) -> None:
    await publish(town.database, Source("product", Rows(key="sku")), {f"A-{number}": {"name": f"thing {number}"} for number in range(30)})
    await planned(town, SAYS, 30)
    renderer, statements = Renderer(children=1, wall_s=60), list[str]()
    event.listen(town.database.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    await (await lane(town, asking(), renderer)).pass_once()
    await renderer.close()
    assert set(await town.states()) == {("sent", None)}
    assert sorted(each.content.parts["text"] for each in town.provider.seen) == sorted(f"thing {number}" for number in range(30))
    assert len([each for each in statements if "FROM source_rows" in each]) <= 2


async def test_a_message_waits_for_its_source_and_is_skipped_after_the_bound(town: Town, asking: Asking, shop: Shop) -> None:
    shop.otherwise = answer(b"", status="503 Away")
    await publish(town.database, Source("product", Http(shop.url), failing="wait", wait_at_most=hours(1)))
    await planned(town, SAYS, 1)
    renderer = Renderer(children=1, wall_s=60)
    sends = await lane(town, asking(), renderer)
    await sends.pass_once()
    assert await town.states() == [("planned", "source_away:product")]
    await town.run("UPDATE source_waits SET since = since - CAST(:by AS interval)", by=timedelta(minutes=59))
    await town.run("UPDATE open_messages SET due_at = clock_timestamp() - interval '1 s'")
    await sends.pass_once()
    assert await town.states() == [("planned", "source_away:product")]
    await town.run("UPDATE source_waits SET since = since - CAST(:by AS interval)", by=timedelta(minutes=2))
    await town.run("UPDATE open_messages SET due_at = clock_timestamp() - interval '1 s'")
    await sends.pass_once()
    await renderer.close()
    assert await town.states() == [("skipped", "source_failed:product")]
    assert town.provider.seen == []


async def test_a_message_that_waited_leaves_once_its_source_is_back(town: Town, asking: Asking, shop: Shop) -> None:
    shop.otherwise = answer(b"", status="503 Away")
    await publish(town.database, Source("product", Http(shop.url), failing="wait"))
    await planned(town, SAYS, 1)
    renderer = Renderer(children=1, wall_s=60)
    sends = await lane(town, asking(), renderer)
    await sends.pass_once()
    shop.otherwise = {"name": "Chair"}
    await town.run("UPDATE open_messages SET due_at = clock_timestamp() - interval '1 s'")
    await sends.pass_once()
    await renderer.close()
    assert [each.content.parts["text"] for each in town.provider.seen] == ["Chair"]
