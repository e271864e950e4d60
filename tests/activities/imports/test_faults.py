"""What goes wrong around an import: killed processes, cut connections, places that fail, people who are erased; and nothing is lost."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry as registered

from activities.imports.arriving import take_in
from activities.imports.places import Places, check
from activities.jobs import importing
from channels.base import NotSent, Rejected
from channels.downloads import Downloads
from channels.egress import Egress
from journeys.language.errors import Invalid, NotFound, Refused
from storage import erasures, files, imports, jobs
from storage.attributes import COLUMN_KEYS, LOCALE, TIMEZONE, Profile, changed, joined
from storage.database import Database
from storage.imports import ImportedPerson
from tests.activities.imports.runs import begun, imported, look, one_piece, pieces, to_the_end, uploaded, work_on
from tests.activities.imports.test_importing import ask

ROWS = "user_id,occurred_at\n" + "".join(f"u{n % 300},2026-01-{n % 28 + 1:02}\n" for n in range(2000))
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def test_an_import_that_is_killed_goes_on_and_doubles_nothing(database: Database) -> None:
    job = await begun(database, "import", {"what": "events", "event": "bought", "file": await uploaded(database, ROWS.encode())})
    url = database.engine.url.render_as_string(hide_password=False)
    for _ in range(3):
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.activities.imports.victim", url, str(job.id), stdout=asyncio.subprocess.PIPE
        )
        assert victim.stdout is not None
        for _ in range(4):
            assert await asyncio.wait_for(victim.stdout.readline(), 60)
        victim.kill()
        await victim.wait()
    half = await look(database, job)
    assert half.state == "running"
    assert 0 < half.result["rows"] < 2000
    done = await to_the_end(work_on(database), half)
    assert (done.result["rows"], done.result["events_stored"]) == (2000, 2000)
    assert await ask(database, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(2000, 2000)]


async def test_an_upload_that_is_cut_off_leaves_nothing(database: Database) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"user_id\n" * 1_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await take_in(database, "demo", cut(), name="a file", most_bytes=10**9)
    assert await ask(database, "SELECT count(*) FROM files") == [(0,)]
    assert await ask(database, "SELECT count(*) FROM file_chunks") == [(0,)]


async def test_a_file_that_is_too_large_is_refused_also_when_it_is_packed(database: Database) -> None:
    with pytest.raises(Invalid, match="split it"):
        await take_in(database, "demo", pieces(b"x" * 2000), name="a file", most_bytes=1000)


@asynccontextmanager
async def web(answer: Answer) -> AsyncIterator[str]:
    """An HTTP server that says what it is told to; gives its address."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/people.csv"
    server.close()


def local() -> Places:
    return Places(downloads=Downloads(Egress(may_reach_loopback=True)))


async def test_a_file_of_the_web_is_fetched_and_a_cut_connection_is_tried_again(database: Database) -> None:
    content = b"user_id,plan\nann,pro\n"
    times = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal times
        times += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        writer.write(content[:10] if times == 1 else content)
        await writer.drain()

    async with web(answer) as url:
        job = await begun(database, "import", {"what": "users", "url": url})
        with pytest.raises(NotSent, match="cut"):
            await importing.imports(work_on(database, local()), job)
        assert await ask(database, "SELECT count(*) FROM files") == [(0,)]
        done = await to_the_end(work_on(database, local()), job)
    assert done.result["users_created"] == 1
    assert await ask(database, "SELECT count(*) FROM files") == [(0,)]


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Rejected, "404"),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", NotSent, "503"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", Rejected, "name the address to which"),
    ],
)
async def test_what_the_web_answers_is_told(database: Database, answer: bytes, expected: type[Exception], words: str) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with web(say) as url:
        job = await begun(database, "import", {"what": "users", "url": url})
        with pytest.raises(expected, match=words):
            await importing.imports(work_on(database, local()), job)


class Bucket(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """What s3fs and gcsfs are to fsspec, in memory. A bucket has no folders to be made first."""

    protocol = ("s3", "gs", "gcs")
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return f"/{path.rpartition('://')[2].strip('/')}"


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs"])
async def test_a_bucket_is_read_and_written_through_fsspec(database: Database, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setitem(registered, scheme, Bucket)
    monkeypatch.setattr(Bucket, "store", {})
    with fsspec.open(f"{scheme}://acme/in.csv", "wb") as written:
        written.write(b"user_id,plan\nann,pro\n")
    work = work_on(database, Places((f"{scheme}://acme/",)))
    job = await to_the_end(work, await begun(database, "import", {"what": "users", "url": f"{scheme}://acme/in.csv"}))
    assert job.result["users_created"] == 1
    out = await to_the_end(work, await begun(database, "export", {"form": "csv", "url": f"{scheme}://acme/out.csv"}))
    assert sorted(Bucket.store) == ["/acme/in.csv", "/acme/out.csv"]
    with fsspec.open(f"{scheme}://acme/out.csv", "rb") as read:
        assert read.read().splitlines()[1].startswith(b"ann,")
    assert out.result["file"] is None


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("gcs", "gcs")])
async def test_a_missing_extra_is_named(database: Database, scheme: str, extra: str) -> None:
    job = await begun(database, "import", {"what": "users", "url": f"{scheme}://acme/in.csv"})
    with pytest.raises(Refused, match=rf"{scheme}:// needs the extra {extra}: pip install 'sojourn\[{extra}\]'"):
        await importing.imports(work_on(database, Places((f"{scheme}://acme/",))), job)


@pytest.mark.parametrize(
    "url",
    [
        "s3://other/in.csv",
        "s3://acme/demo2/in.csv",
        "s3://acme/demo/../other/in.csv",
        "s3://acme/demo/*.csv",
        "gs://acme/demo/in.csv",
        "file:///etc/passwd",
        "memory://acme/demo/in.csv",
        "/etc/passwd",
        "local://etc/passwd",
        "simplecache::s3://acme/demo/in.csv",
    ],
)
def test_only_what_is_opened_to_the_app_may_be_read(url: str) -> None:
    check("demo", "s3://acme/demo/in.csv", ["s3://acme/{app}/"])
    with pytest.raises(Invalid):
        check("demo", url, ["s3://acme/{app}/"])


async def test_an_erasure_removes_files_and_spares_what_a_job_reads(database: Database) -> None:
    await imported(database, "user_id\nann\n")
    read, lying = await uploaded(database, ROWS.encode()), await uploaded(database, b"user_id\nann\n")
    job = await begun(database, "import", {"what": "events", "event": "bought", "file": read})
    async with database.transaction() as connection:
        await erasures.erase(connection, "demo", "ann", "somebody")
    left = {str(file_id) for (file_id,) in await ask(database, "SELECT id FROM files")}
    assert (read in left, lying in left) == (True, False)
    async with database.transaction() as connection:
        await jobs.stop(connection, "demo", job.id)
        assert await files.forget_unread(connection, "demo") == 1
    with pytest.raises(NotFound, match="Upload it again"):
        await one_piece(work_on(database), job)


async def test_files_are_forgotten_after_their_time_unless_a_job_reads_them(database: Database) -> None:
    read, _ = await uploaded(database, ROWS.encode()), await uploaded(database, b"user_id\nann\n")
    await begun(database, "import", {"what": "events", "event": "bought", "file": read})
    async with database.transaction() as connection:
        assert await files.forget(connection, timedelta(days=1)) == 0
        assert await files.forget(connection, timedelta(0)) == 1


async def test_the_later_word_wins_in_sql_as_it_does_in_python(database: Database) -> None:
    drawn = random.Random(7)
    profiles = [(_drawn(drawn), _drawn(drawn)) for _ in range(500)]
    for turn in (0, 1):
        people = [ImportedPerson(f"user-{n}", n, pair[turn]) for n, pair in enumerate(profiles)]
        async with database.transaction() as connection:
            await imports.bring_people(connection, "demo", imports.lay_out("demo", people))
    stored = await ask(database, "SELECT user_id, attributes, attribute_clock, timezone, locale FROM users")
    found = {user_id: (attributes, clock, zone, locale) for user_id, attributes, clock, zone, locale in stored}
    for n, (one, other) in enumerate(profiles):
        both = joined(one, other)
        kept = {key: value for key, value in both.attributes.items() if key not in COLUMN_KEYS}
        assert found[f"user-{n}"] == (kept, dict(both.clock), both.attributes.get(TIMEZONE), both.attributes.get(LOCALE))


def _drawn(drawn: random.Random) -> Profile:
    """What a few changes leave, at moments and under ids that often are equal."""
    profile = Profile()
    for _ in range(drawn.randint(1, 4)):
        names = drawn.sample(["a", "b", TIMEZONE, LOCALE], drawn.randint(1, 3))
        values = {name: drawn.choice([None, "x", "y"]) for name in names}
        profile = changed(profile, values, datetime(2026, 1, drawn.randint(1, 2), tzinfo=UTC), drawn.choice(["Z", "a", "é", "B"]))
    return profile
