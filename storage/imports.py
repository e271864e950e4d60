"""Many people and events at once: rows are copied into a table of the session, then put where they belong by a few statements.

The order of locks is everybody's: event ids by hash, identities by key, people by internal id, then what belongs to them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text

from storage.attributes import LOCALE, TIMEZONE, Profile
from storage.database import Connection, Contended
from storage.endpoints import DEVICE_STANDS, IMPORTED, MAILBOX_STANDS, PUSH
from storage.events import mark_history
from storage.ids import address_hash, event_hash

MOST_BAD_ROWS = 10_000
_NOTHING = Profile()


class HeldAddress(NamedTuple):
    """An address of a person, normalised by its channel's rules, confirmed at a moment."""

    channel: str
    address: str
    confirmed_at: datetime
    device: Mapping[str, Any]
    is_active: bool


class ImportedPerson(NamedTuple):  # made for every row: a tuple costs a fifth of a frozen dataclass
    """What is brought of one person. `profile` has a clock for each of its keys; a key of the clock alone removes the attribute.

    `opted_out`: channel -> as of when they have left it.
    """

    user_id: str
    line: int
    profile: Profile = _NOTHING
    addresses: Sequence[HeldAddress] = ()
    opted_out: Mapping[str, datetime] = {}


class ImportedEvent(NamedTuple):
    """One event that is brought; `body_hash` tells a repeat from another event under the same id."""

    event_id: str
    user_id: str
    name: str
    occurred_at: datetime
    properties: Mapping[str, Any]
    body_hash: bytes


class Brought(NamedTuple):
    """How many people were made, and how many that were known have changed."""

    created: int
    changed: int


# Tables of a session, without a column for the app: they hold rows of one import, and only while a transaction lasts.
_TABLES = (
    """CREATE TEMP TABLE IF NOT EXISTS incoming_people (user_id text, line bigint, attributes text, clock text, timezone text, locale text)
        ON COMMIT DELETE ROWS""",
    """CREATE TEMP TABLE IF NOT EXISTS found_people (id bigint, is_new boolean, turn integer, user_id text, attributes jsonb, clock jsonb,
        timezone text, locale text) ON COMMIT DELETE ROWS""",
    """CREATE TEMP TABLE IF NOT EXISTS incoming_addresses (n integer, user_id text, channel text, address text, hash bytea, device text,
        confirmed_at timestamptz, is_active boolean) ON COMMIT DELETE ROWS""",
    """CREATE TEMP TABLE IF NOT EXISTS incoming_events (n integer, user_id bigint, is_new boolean, event_id text, name text,
        properties text, occurred_at timestamptz) ON COMMIT DELETE ROWS""",
)
_PEOPLE = ("user_id", "line", "attributes", "clock", "timezone", "locale")
_ADDRESSES = ("n", "user_id", "channel", "address", "hash", "device", "confirmed_at", "is_active")
_EVENTS = ("n", "user_id", "is_new", "event_id", "name", "properties", "occurred_at")

# LATERAL with LIMIT probes the index once a row, whatever the statistics say; joins of what was just copied would be planned for few rows.
_FIND = text("""
    INSERT INTO found_people (id, is_new, turn, user_id, attributes, clock, timezone, locale)
    SELECT coalesce(i.id, nextval('users_id_seq')), i.id IS NULL, row_number() OVER (PARTITION BY i.id ORDER BY p.line),
        p.user_id, CAST(p.attributes AS jsonb), CAST(p.clock AS jsonb), p.timezone, p.locale
    FROM incoming_people p LEFT JOIN LATERAL (SELECT i.user_id AS id FROM identities i
        WHERE i.app = :app AND i.kind = 'u' AND i.value = p.user_id LIMIT 1) AS i ON true
""")
_MAKE = text("""
    INSERT INTO users (app, id, user_id, attributes, attribute_clock, timezone, locale) OVERRIDING SYSTEM VALUE
    SELECT :app, id, user_id, attributes, clock, timezone, locale FROM found_people WHERE is_new
""")
_NAME = text("""
    INSERT INTO identities (app, kind, value, user_id) SELECT :app, 'u', user_id, id FROM found_people WHERE is_new ORDER BY user_id
    ON CONFLICT DO NOTHING
""")
_LOCK = text("""
    WITH known AS MATERIALIZED (SELECT DISTINCT id FROM found_people WHERE NOT is_new ORDER BY id), locked AS MATERIALIZED (
        SELECT k.id, u.found, u.merged_into FROM known k LEFT JOIN LATERAL (
            SELECT id AS found, merged_into FROM users WHERE app = :app AND id = k.id FOR NO KEY UPDATE
        ) AS u ON true
    )
    SELECT (SELECT count(*) FROM locked WHERE found IS NULL OR merged_into IS NOT NULL) AS gone,
        (SELECT coalesce(max(turn), 0) FROM found_people WHERE NOT is_new) AS turns
""")
# Per key the later (occurred_at, event id) wins, as storage/attributes.py says it; two ids of one person take turns, in their order.
_CHANGE = text(f"""
    WITH mine AS MATERIALIZED (
        SELECT p.id, p.attributes AS given, p.clock AS given_clock, p.timezone AS given_timezone, p.locale AS given_locale,
            u.attributes, u.attribute_clock, u.timezone, u.locale
        FROM found_people p JOIN LATERAL (
            SELECT attributes, attribute_clock, timezone, locale FROM users WHERE app = :app AND id = p.id LIMIT 1
        ) AS u ON true
        WHERE NOT p.is_new AND p.turn = :turn
    ), becomes AS (
        SELECT m.*, m.attribute_clock || w.clock AS next_clock,
            (m.attributes - w.keys) || w.attributes AS next_attributes,
            CASE WHEN '{TIMEZONE}' = ANY(w.keys) THEN m.given_timezone ELSE m.timezone END AS next_timezone,
            CASE WHEN '{LOCALE}' = ANY(w.keys) THEN m.given_locale ELSE m.locale END AS next_locale
        FROM mine m CROSS JOIN LATERAL (
            SELECT array_agg(c.key) AS keys, jsonb_object_agg(c.key, c.value) AS clock,
                coalesce(jsonb_object_agg(c.key, m.given -> c.key) FILTER (WHERE m.given ? c.key), '{{}}') AS attributes
            FROM jsonb_each(m.given_clock) AS c (key, value)
            WHERE m.attribute_clock -> c.key IS NULL OR (
                CAST(m.attribute_clock -> c.key ->> 0 AS bigint), (m.attribute_clock -> c.key ->> 1) COLLATE "C")
                < (CAST(c.value ->> 0 AS bigint), (c.value ->> 1) COLLATE "C")
        ) AS w
        WHERE w.keys IS NOT NULL
    ), written AS (
        UPDATE users u SET attributes = b.next_attributes, attribute_clock = b.next_clock, timezone = b.next_timezone,
            locale = b.next_locale, updated_at = CASE WHEN d.differs THEN now() ELSE u.updated_at END
        FROM becomes b CROSS JOIN LATERAL (SELECT (b.attributes, b.timezone, b.locale)
            IS DISTINCT FROM (b.next_attributes, b.next_timezone, b.next_locale) AS differs) AS d
        WHERE u.app = :app AND u.id = b.id RETURNING d.differs
    )
    SELECT count(*) FILTER (WHERE differs) FROM written
""")
_IDS = text("SELECT user_id, id, is_new FROM found_people")


class LaidOut(NamedTuple):
    """People as they are copied: rows of people and of their addresses, and (user id, channel, as of when) of what they have left."""

    people: Sequence[tuple[Any, ...]]
    addresses: Sequence[tuple[Any, ...]]
    opted_out: Sequence[tuple[str, str, datetime]]


def lay_out(app: str, people: Sequence[ImportedPerson]) -> LaidOut:
    """Make the rows of people. Each user id comes once. Pure, and so much of an import's work that it is done beside the loop."""
    held = [(each.user_id, address) for each in people for address in each.addresses]
    return LaidOut(
        [_person(each) for each in people],
        [_address(app, n, *each) for n, each in enumerate(held)],
        [(each.user_id, channel, at) for each in people for channel, at in each.opted_out.items()],
    )


async def bring_people(connection: Connection, app: str, brought: LaidOut) -> Brought:
    """Make who is not known, and change who is. Raises Contended: then do the whole transaction again."""
    await mark_history(connection)
    await _copy(connection, "incoming_people", _PEOPLE, brought.people)
    settled = await _settle_people(connection, app)
    if brought.addresses:
        await _confirm(connection, app, brought.addresses)
    if brought.opted_out:
        await _opt_out(connection, app, brought.opted_out)
    return settled


async def _settle_people(connection: Connection, app: str) -> Brought:
    await connection.execute(_FIND, {"app": app})
    created = (await connection.execute(_MAKE, {"app": app})).rowcount
    if (await connection.execute(_NAME, {"app": app})).rowcount < created:
        raise Contended("others are creating the same people")
    lock = (await connection.execute(_LOCK, {"app": app})).one()
    if lock.gone:
        raise Contended("a person was joined with another, or erased, meanwhile")
    changed = 0
    for turn in range(1, lock.turns + 1):
        changed += (await connection.execute(_CHANGE, {"app": app, "turn": turn})).scalar_one()
    return Brought(created, changed)


def _person(person: ImportedPerson) -> tuple[Any, ...]:
    given = person.profile.attributes
    attributes = {key: value for key, value in given.items() if key not in (TIMEZONE, LOCALE)}
    return (
        person.user_id, person.line, _json(attributes), _json(person.profile.clock), given.get(TIMEZONE), given.get(LOCALE)
    )  # fmt: skip


_HELD = "incoming_addresses i JOIN found_people p ON p.user_id = i.user_id"
_INSERT = """
    INSERT INTO endpoints AS e (app, user_id, channel, address, address_hash, device, confirmed_at)
    SELECT DISTINCT ON ({once}) :app, p.id, i.channel, i.address, i.hash, CAST(i.device AS jsonb), i.confirmed_at
    FROM {held} WHERE {which} ORDER BY {once}, i.confirmed_at DESC, i.n DESC {stands}
"""
# Of several rows for one address the latest counts. Mailboxes in the order of their people, devices in that of their tokens.
_CONFIRM = text(_INSERT.format(once="p.id, i.channel, i.hash", held=_HELD, which=f"i.channel <> '{PUSH}'", stands=MAILBOX_STANDS))
_CONFIRM_DEVICES = text(_INSERT.format(once="i.hash", held=_HELD, which=f"i.channel = '{PUSH}'", stands=DEVICE_STANDS))
_INACTIVE = text(f"""
    UPDATE endpoints e SET state = 'inactive', reason = :reason FROM {_HELD}
    WHERE NOT i.is_active AND e.app = :app AND e.user_id = p.id AND e.channel = i.channel AND e.address_hash = i.hash
        AND e.created_at = now()
""")
# Who has said something since the moment that the file tells of is believed.
_OPT_OUT = text("""
    INSERT INTO consents (app, user_id, channel, topic, state, source, recorded_by)
    SELECT DISTINCT :app, w.user_id, w.channel, '*', 'withdrawn', 'import', 'import'
    FROM unnest(CAST(:users AS bigint[]), CAST(:channels AS text[]), CAST(:moments AS timestamptz[])) AS w (user_id, channel, at)
    WHERE NOT EXISTS (
        SELECT FROM (SELECT c.state, c.recorded_at FROM consents c WHERE c.app = :app AND c.user_id = w.user_id AND c.channel = w.channel
            AND c.topic = '*' ORDER BY c.id DESC LIMIT 1) AS newest
        WHERE newest.state = 'withdrawn' OR newest.recorded_at >= w.at)
""")


async def _confirm(connection: Connection, app: str, addresses: Sequence[tuple[Any, ...]]) -> None:
    await _copy(connection, "incoming_addresses", _ADDRESSES, addresses)
    await connection.execute(_CONFIRM, {"app": app})
    await connection.execute(_CONFIRM_DEVICES, {"app": app})
    await connection.execute(_INACTIVE, {"app": app, "reason": IMPORTED})


def _address(app: str, n: int, user_id: str, held: HeldAddress) -> tuple[Any, ...]:
    digest = address_hash(app, held.channel, held.address)
    return n, user_id, held.channel, held.address, digest, _json(held.device), held.confirmed_at, held.is_active


async def _opt_out(connection: Connection, app: str, opted_out: Sequence[tuple[str, str, datetime]]) -> None:
    ids = {row.user_id: row.id for row in await connection.execute(_IDS)}
    values = {
        "users": [ids[user_id] for user_id, _, _ in opted_out],
        "channels": [channel for _, channel, _ in opted_out],
        "moments": [at for _, _, at in opted_out],
    }
    await connection.execute(_OPT_OUT, {"app": app, **values})


# Lists ------------------------------------------------------------------------------------------------------------------

_LIST = text("""
    INSERT INTO listed_people (app, segment, user_id)
    SELECT DISTINCT :app, :segment, i.user_id FROM unnest(CAST(:user_ids AS text[])) AS w (value)
    CROSS JOIN LATERAL (SELECT i.user_id FROM identities i WHERE i.app = :app AND i.kind = 'u' AND i.value = w.value LIMIT 1) AS i
    ON CONFLICT DO NOTHING
""")
_KNOWN = text("""
    SELECT w.value FROM unnest(CAST(:user_ids AS text[])) AS w (value)
    WHERE EXISTS (SELECT FROM identities i WHERE i.app = :app AND i.kind = 'u' AND i.value = w.value LIMIT 1)
""")


async def put_on_list(connection: Connection, app: str, segment: str, user_ids: Sequence[str]) -> int:
    """Put people on a list; returns how many were not on it. Ids of nobody are passed over."""
    return (await connection.execute(_LIST, {"app": app, "segment": segment, "user_ids": list(user_ids)})).rowcount


async def known(connection: Connection, app: str, user_ids: Sequence[str]) -> frozenset[str]:
    """Which of these ids are somebody's."""
    return frozenset((await connection.execute(_KNOWN, {"app": app, "user_ids": list(user_ids)})).scalars())


# Events -----------------------------------------------------------------------------------------------------------------

_COUNT_ROWS = text("""
    INSERT INTO row_counts AS r (app, job_id, hash, times)
    SELECT :app, :job_id, n.hash, n.times FROM unnest(CAST(:hashes AS bytea[]), CAST(:times AS integer[])) AS n (hash, times)
    ORDER BY n.hash
    ON CONFLICT (app, job_id, hash) DO UPDATE SET times = r.times + excluded.times
    RETURNING hash, times
""")
# Ids are forgotten after 30 days; what stands in the table of events is not.
_STORE = text("""
    INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at, is_history)
    SELECT :app, :received_at, i.user_id, i.event_id, i.name, CAST(i.properties AS jsonb), i.occurred_at, true
    FROM incoming_events i LEFT JOIN LATERAL (
        SELECT true AS is_there FROM events e WHERE NOT i.is_new AND e.app = :app AND e.user_id = i.user_id AND e.name = i.name
            AND e.occurred_at = i.occurred_at AND e.event_id = i.event_id LIMIT 1
    ) AS k ON true
    WHERE k.is_there IS NULL ORDER BY i.n
""")
_CLAIM = text("""
    INSERT INTO event_ids (hash, received_at, body_hash)
    SELECT e.hash, :received_at, e.body_hash FROM unnest(CAST(:hashes AS bytea[]), CAST(:bodies AS bytea[])) AS e (hash, body_hash)
    ORDER BY e.hash ON CONFLICT (hash) DO NOTHING RETURNING hash
""")


async def count_rows(connection: Connection, app: str, job_id: UUID, times: Mapping[bytes, int]) -> dict[bytes, int]:
    """Count rows by what they say; returns how often each had come before in this import."""
    values = {"app": app, "job_id": job_id, "hashes": list(times), "times": list(times.values())}
    return {row.hash: row.times - times[row.hash] for row in await connection.execute(_COUNT_ROWS, values)}


async def bring_events(connection: Connection, app: str, items: Sequence[ImportedEvent], received_at: datetime) -> tuple[int, int]:
    """Store what is new as history, which starts and signals nothing; returns how many events were new, and how many people.

    Ids in one call differ. Raises Contended: then do the whole transaction again.
    """
    hashed = {event_hash(app, each.event_id): each for each in items}
    claims = {"hashes": list(hashed), "bodies": [each.body_hash for each in hashed.values()], "received_at": received_at}
    claimed = set((await connection.execute(_CLAIM, claims)).scalars())
    fresh = [each for hash_, each in hashed.items() if hash_ in claimed]
    if not fresh:
        return 0, 0
    await mark_history(connection)
    people = dict.fromkeys(each.user_id for each in fresh)
    await _copy(connection, "incoming_people", _PEOPLE, [(each, n, "{}", "{}", None, None) for n, each in enumerate(people)])
    brought = await _settle_people(connection, app)
    found = {row.user_id: (row.id, row.is_new) for row in await connection.execute(_IDS)}
    rows = [(n, *found[e.user_id], e.event_id, e.name, _json(e.properties), e.occurred_at) for n, e in enumerate(fresh)]
    await _copy(connection, "incoming_events", _EVENTS, rows)
    stored = (await connection.execute(_STORE, {"app": app, "received_at": received_at})).rowcount
    return stored, brought.created


# Bad rows ---------------------------------------------------------------------------------------------------------------


class StoredBadRow(NamedTuple):
    """Why a row of a file was not taken; never what stands in it."""

    line: int
    field: str
    code: str
    message: str


_BAD = text("""
    INSERT INTO bad_rows (app, job_id, line, field, code, message)
    SELECT :app, :job_id, b.line, b.field, b.code, b.message FROM unnest(CAST(:lines AS bigint[]), CAST(:fields AS text[]),
        CAST(:codes AS text[]), CAST(:messages AS text[])) AS b (line, field, code, message)
    ON CONFLICT DO NOTHING
""")
_BAD_PAGE = text("""
    SELECT line, field, code, message FROM bad_rows
    WHERE app = :app AND job_id = :job_id AND (CAST(:line AS bigint) IS NULL OR (line, field, code) > (:line, :field, :code))
    ORDER BY line, field, code LIMIT :most
""")


async def write_bad_rows(connection: Connection, app: str, job_id: UUID, rows: Sequence[tuple[int, str, str, str]]) -> None:
    """Keep why rows were not taken: (line, field, code, message)."""
    if rows:
        names = ("lines", "fields", "codes", "messages")
        values = dict(zip(names, ([*column] for column in zip(*rows, strict=True)), strict=True))
        await connection.execute(_BAD, {"app": app, "job_id": job_id, **values})


async def bad_rows(
    connection: Connection, app: str, job_id: UUID, *, after: tuple[int, str, str] | None = None, most: int = 50
) -> list[StoredBadRow]:
    """Bad rows by line; `after` is (line, field, code) of the last one of the page before."""
    line, name, code = after or (None, "", "")
    values = {"app": app, "job_id": job_id, "line": line, "field": name, "code": code, "most": most}
    return [StoredBadRow(*row) for row in await connection.execute(_BAD_PAGE, values)]


_FILLED = {"users": "users, identities, endpoints, listed_people", "events": "users, identities, events", "list": "listed_people"}


async def look_at_tables(connection: Connection, what: str) -> None:
    """Let Postgres count anew what an import of users, events or a list filled: until it does so by itself, it plans for empty tables."""
    await connection.exec_driver_sql(f"ANALYZE {_FILLED[what]}")


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    for statement in _TABLES:
        await connection.exec_driver_sql(statement)
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(table, records=rows, columns=columns)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
