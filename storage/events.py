"""Events come in: one transaction that knows repeats, finds people, locks them, stores what is new, and tells whoever listens.

Locks are taken in one order by everybody: event ids by hash, identities by key, people by internal id, then what belongs to them.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import text

from storage import endpoints, joins, users
from storage.attributes import LOCALE, TIMEZONE, Profile, changed, joined, without
from storage.consents import ConsentRecord, record
from storage.database import Connection
from storage.identities import PROBE, Key, Mention, Person, Plan, found, keys_of, probe, resolve
from storage.ids import event_hash
from storage.users import Change

Verdict = Literal["new", "duplicate", "conflict"]
Trust = Literal["server", "signed", "public"]

# What a browser may not set for a person whom a server knows: somebody's mails would go elsewhere.
GUARDED = frozenset({"email", "phone"})


_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True)
class Address:
    """An address that an item gives its person; `address` is normalised by its channel's rules."""

    channel: str
    address: str
    device: Mapping[str, Any] = field(default_factory=dict)


class Incoming(NamedTuple):  # made for every item: a tuple costs a fifth of a frozen dataclass
    """One item, checked and with its times settled. At least one of user_id and anonymous_id is there.

    `name` None stores no event (an alias only joins). `joins` says that the ids are one person. A trait of None deletes the attribute.
    `body_hash` is the fingerprint of what the caller sent: the same id with another one is a conflict, and the first stays.
    """

    event_id: str
    occurred_at: datetime
    name: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    joins: bool = False
    properties: Mapping[str, Any] = _NOTHING
    context: Mapping[str, Any] = _NOTHING
    traits: Mapping[str, Any] = _NOTHING
    timezone: str | None = None
    locale: str | None = None
    addresses: Sequence[Address] = ()
    consents: Sequence[ConsentRecord] = ()
    trust: Trust = "server"
    body_hash: bytes = b""


class Accepted(NamedTuple):
    """What became of one item. `user` is the internal id of its person, None for a repeat.

    `is_told`: a journey listens, so the relay has something to do. `is_withheld`: the item named an address, a consent or a join of
    known people that its key may not set; the rest of it was taken.
    """

    event_id: str
    verdict: Verdict
    user: int | None = None
    is_told: bool = False
    is_withheld: bool = False


async def accept(
    connection: Connection, app: str, items: Sequence[Incoming], *, received_at: datetime, is_history: bool = False
) -> list[Accepted]:
    """Take a batch, in its order, into the caller's transaction: what is new is stored once and told to whoever listens.

    History is stored and counted; it starts and signals nothing. Returns one result an item. Raises Contended when another
    transaction got in the way: nothing holds then, and the whole transaction must be done again (`Database.run`).
    """
    if is_history:
        await mark_history(connection)
    verdicts, known = await _open(connection, app, items, received_at)
    fresh = [item for item, verdict in zip(items, verdicts, strict=True) if verdict == "new"]
    if not fresh:
        return [Accepted(item.event_id, verdict) for item, verdict in zip(items, verdicts, strict=True)]
    plan = await resolve(connection, app, [_mention(item) for item in fresh], known)
    profiles = await _lock(connection, app, fresh, plan)
    if profiles or any(item.addresses or item.consents for item in fresh):
        await _change_people(connection, app, fresh, plan, profiles)
    told = await _store(connection, app, fresh, plan, received_at, is_history=is_history)
    results = iter(
        [
            Accepted(item.event_id, "new", _id(person), item.event_id in told, n in plan.withheld or _is_withheld(item, person))
            for n, (item, person) in enumerate(zip(fresh, plan.people, strict=True))
        ]
    )
    return [next(results) if verdict == "new" else Accepted(item.event_id, verdict) for item, verdict in zip(items, verdicts, strict=True)]


_MARK_HISTORY = text("SELECT set_config('sojourn.is_history', 'on', true)")


async def mark_history(connection: Connection) -> None:
    """What this transaction writes of people is no act of theirs: they come into segments by it, and nobody is told (migration 0023)."""
    await connection.execute(_MARK_HISTORY)


# Repeats ----------------------------------------------------------------------------------------------------------------

# Claiming the ids and looking people up in one statement spares a journey to the database. Neither depends on the other.
_OPEN = text(
    f"""
    WITH fresh AS (
        INSERT INTO event_ids (hash, received_at, body_hash)
        SELECT i.hash, :received_at, i.body
        FROM unnest(CAST(:hashes AS bytea[]), CAST(:bodies AS bytea[])) AS i (hash, body) ORDER BY i.hash
        ON CONFLICT (hash) DO NOTHING RETURNING hash
    )
    SELECT (SELECT array_agg(hash) FROM fresh) AS fresh, people.* FROM ({PROBE}) AS people
    """
)
_KNOWN_BODIES = text("SELECT hash, body_hash FROM event_ids WHERE hash = ANY(CAST(:hashes AS bytea[]))")
_FORGET_IDS = text("DELETE FROM event_ids WHERE received_at < :before")


async def _open(
    connection: Connection, app: str, items: Sequence[Incoming], received_at: datetime
) -> tuple[list[Verdict], dict[Key, tuple[int, str | None]]]:
    """Claim the ids that are new, and read who is known of the people that the items name."""
    keyed = [(event_hash(app, item.event_id), item.body_hash or fingerprint(item)) for item in items]
    first = dict(reversed(keyed))
    keys = keys_of([_mention(item) for item in items])
    claims = {"app": app, "hashes": list(first), "bodies": list(first.values()), "received_at": received_at}
    row = (await connection.execute(_OPEN, {**claims, **probe(keys)})).one()
    return await _verdicts(connection, keyed, first, set(row.fresh or ())), found(keys, row)


async def _verdicts(
    connection: Connection, keyed: Sequence[tuple[bytes, bytes]], first: Mapping[bytes, bytes], fresh: set[bytes]
) -> list[Verdict]:
    known = dict(first)
    if len(fresh) < len(first):
        stored = await connection.execute(_KNOWN_BODIES, {"hashes": [hash_ for hash_ in first if hash_ not in fresh]})
        known |= {row.hash: row.body_hash for row in stored}
    verdicts: list[Verdict] = []
    for hash_, body in keyed:
        verdicts.append("new" if hash_ in fresh else "duplicate" if known[hash_] == body else "conflict")
        fresh.discard(hash_)
    return verdicts


def fingerprint(item: Incoming) -> bytes:
    """What tells a repeat from another event under the same id, for callers that have no bytes of their own."""
    said = [item.name, item.user_id, item.anonymous_id, item.previous_id, item.properties, item.traits]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()[:16]


async def forget_ids(connection: Connection, before: datetime) -> int:
    """Forget the ids of events received before this moment, in every app; the promise is 30 days. Returns how many."""
    return (await connection.execute(_FORGET_IDS, {"before": before})).rowcount


_WAITING = text("SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = 'outbox'::regclass")


async def waiting(connection: Connection) -> int:
    """How many outbox rows there are, as Postgres estimates: of every app, for the limit that ingest refuses at."""
    return int((await connection.execute(_WAITING)).scalar() or 0)


# People -----------------------------------------------------------------------------------------------------------------


def _mention(item: Incoming) -> Mention:
    may_join_known = item.trust == "server" and item.previous_id is not None
    return Mention(item.user_id, item.anonymous_id, item.previous_id, item.joins, item.trust != "public", may_join_known)


async def _lock(connection: Connection, app: str, items: Sequence[Incoming], plan: Plan) -> dict[int, Profile]:
    """Lock everybody in sorted order, and read the attributes of those who change."""
    changing = [person for person in plan.stored if person.one_with is not None or person.is_promoted]
    readers = {_id(person) for item, person in zip(items, plan.people, strict=True) if _says_something(item)}
    readers |= {id_ for person in changing for id_ in (person.id or 0, _id(person))}
    people = {_id(person): person.survivor.user_id is not None for person in plan.people}
    people |= {person.id or 0: person.was_known_as is not None for person in (*changing, *(p.survivor for p in changing))}
    return await users.lock_users(connection, app, people, profiles_of=readers)


def _says_something(item: Incoming) -> bool:
    return bool(item.traits or item.timezone or item.locale)


async def _change_people(connection: Connection, app: str, items: Sequence[Incoming], plan: Plan, profiles: dict[int, Profile]) -> None:
    await _join(connection, app, plan, profiles)
    promoted = {_id(person): person for person in plan.stored if person.one_with is None and person.is_promoted}
    for id_, person in promoted.items():
        if not person.is_promotion_trusted:
            await joins.silence(connection, app, id_)
            profiles[id_] = without(profiles[id_], GUARDED)
    _learn(items, plan, profiles)
    changes = {id_: Change(profile, promoted[id_].user_id if id_ in promoted else None) for id_, profile in profiles.items()}
    await users.store(connection, app, changes)
    welcome = [(item, _id(person)) for item, person in zip(items, plan.people, strict=True) if _may_set(item, person)]
    await endpoints.confirm(connection, app, [_confirmed(item, id_, address) for item, id_ in welcome for address in item.addresses])
    for item, id_ in welcome:
        for consent in item.consents:
            await record(connection, app, id_, consent)


async def _join(connection: Connection, app: str, plan: Plan, profiles: dict[int, Profile]) -> None:
    for join in plan.joins:
        survivor, loser = join.survivor.id or 0, join.loser.id or 0
        await joins.merge(connection, app, survivor, loser, is_trusted=join.is_trusted)
        brought = profiles.pop(loser)
        profiles[survivor] = joined(profiles[survivor], brought if join.is_trusted else without(brought, GUARDED))


def _learn(items: Sequence[Incoming], plan: Plan, profiles: dict[int, Profile]) -> None:
    for item, person in zip(items, plan.people, strict=True):
        if _says_something(item):
            profiles[_id(person)] = changed(profiles[_id(person)], _said(item, person), item.occurred_at, item.event_id)


def _said(item: Incoming, person: Person) -> dict[str, Any]:
    columns = {TIMEZONE: item.timezone, LOCALE: item.locale}
    return {**_unguarded(item.traits, item, person), **{key: value for key, value in columns.items() if value}}


def _unguarded(values: Mapping[str, Any], item: Incoming, person: Person) -> Mapping[str, Any]:
    return values if _may_set(item, person) else {key: value for key, value in values.items() if key not in GUARDED}


def _may_set(item: Incoming, person: Person) -> bool:
    """A browser key may set addresses and consents of people whom nobody knows yet, and of nobody else without a signed user id."""
    return item.trust != "public" or person.survivor.user_id is None


def _is_withheld(item: Incoming, person: Person) -> bool:
    return not _may_set(item, person) and bool(item.addresses or item.consents or not GUARDED.isdisjoint(item.traits))


def _confirmed(item: Incoming, user_id: int, address: Address) -> endpoints.Confirmed:
    return endpoints.Confirmed(user_id, address.channel, address.address, item.occurred_at, address.device)


def _id(person: Person) -> int:
    """The internal id, which everybody has once `resolve` is done."""
    return person.survivor.id or 0


# Events of our own ------------------------------------------------------------------------------------------------------


class Own(NamedTuple):
    """An event that Sojourn itself found out about somebody. `user` is the internal id; joined people are followed."""

    event_id: str
    user: int
    name: str
    occurred_at: datetime
    properties: Mapping[str, Any] = _NOTHING


_NOW_KNOWN_AS = text("""
    SELECT w.id, u.id AS now, u.user_id IS NOT NULL AS is_known FROM unnest(CAST(:ids AS bigint[])) AS w (id)
    JOIN users o ON o.app = :app AND o.id = w.id JOIN users u ON u.app = o.app AND u.id = coalesce(o.merged_into, o.id)
""")
_CLAIM_IDS = text("""
    INSERT INTO event_ids (hash, received_at, body_hash) SELECT h.hash, clock_timestamp(), ''
    FROM unnest(CAST(:hashes AS bytea[])) AS h (hash) ORDER BY h.hash ON CONFLICT (hash) DO NOTHING RETURNING hash
""")


async def claim_ids(connection: Connection, hashes: Sequence[bytes]) -> frozenset[bytes]:
    """Take ids of whatever comes once; return those that nobody had taken. A transaction that is taking one is waited for."""
    return frozenset((await connection.execute(_CLAIM_IDS, {"hashes": hashes})).scalars())


async def lock_now(connection: Connection, app: str, ids: Collection[int]) -> dict[int, int]:
    """Lock people by ids that may be old; return old id -> the id that holds now, without who is gone. Raises Contended."""
    if not ids:
        return {}
    rows = (await connection.execute(_NOW_KNOWN_AS, {"app": app, "ids": sorted(set(ids))})).all()
    await users.lock_users(connection, app, {row.now: row.is_known for row in rows})
    return {row.id: row.now for row in rows}


async def known_now(connection: Connection, app: str, ids: Collection[int]) -> dict[int, int]:
    """As `lock_now`, and nobody is locked: it may be another one a moment later."""
    rows = await connection.execute(_NOW_KNOWN_AS, {"app": app, "ids": sorted(set(ids))})
    return {row.id: row.now for row in rows}


async def tell(connection: Connection, app: str, own: Sequence[Own]) -> int:
    """Write events of our own into people's streams, each once, told to who listens as if a caller had sent them; return how many.

    The people are locked here, so call it before anything of theirs is changed. Raises Contended.
    """
    now = await lock_now(connection, app, {each.user for each in own})
    hashes = {event_hash(app, each.event_id): each for each in own if each.user in now}
    fresh = await claim_ids(connection, list(hashes)) if hashes else frozenset()
    rows = [each for hash_, each in hashes.items() if hash_ in fresh]
    if rows:
        values = {
            "app": app,
            "received_at": datetime.now(UTC),
            "is_history": False,
            "users": [now[each.user] for each in rows],
            "ids": [each.event_id for each in rows],
            "names": [each.name for each in rows],
            "properties": [_json(each.properties) for each in rows],
            "contexts": ["{}"] * len(rows),
            "occurred": [each.occurred_at for each in rows],
        }
        await connection.execute(_STORE_AND_TELL, values)
    return len(rows)


# Events and who listens -------------------------------------------------------------------------------------------------

_ITEMS = """
    SELECT * FROM unnest(CAST(:users AS bigint[]), CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:properties AS text[]),
        CAST(:contexts AS text[]), CAST(:occurred AS timestamptz[])) WITH ORDINALITY
        AS i (user_id, event_id, name, properties, context, occurred_at, n)
"""
_INSERT = f"""
    INSERT INTO events (app, received_at, user_id, event_id, name, properties, context, occurred_at, is_history)
    SELECT :app, :received_at, i.user_id, i.event_id, i.name, CAST(i.properties AS jsonb), CAST(i.context AS jsonb),
           i.occurred_at, :is_history
    FROM ({_ITEMS}) AS i ORDER BY i.n
"""
_STORE = text(_INSERT)
# Enrollments are read after the people were locked: one that began before is seen, and one that begins later reads these events.
_STORE_AND_TELL = text(
    f"""
    WITH stored AS (
        {_INSERT} RETURNING seq, user_id, event_id, name, received_at
    ), entries AS MATERIALIZED (
        SELECT DISTINCT unnest(v.entry_names) AS name FROM journeys j
        JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version
        WHERE j.app = :app AND j.retired_at IS NULL AND j.accepts_entries
        UNION SELECT unnest(c.listens_to) FROM campaigns c WHERE c.app = :app AND c.state = 'running'
    ), listening AS MATERIALIZED (
        SELECT DISTINCT e.user_id, unnest(v.listen_names) AS name FROM enrollments e
        JOIN journey_versions v ON v.app = e.app AND v.journey = e.journey AND v.version = e.version
        WHERE e.app = :app AND e.user_id = ANY(CAST(:users AS bigint[])) AND e.state <> 'closed'
    ), told AS (
        INSERT INTO outbox (shard, app, user_id, kind, event_received_at, event_seq)
        SELECT hashint8(s.user_id) & 63, :app, s.user_id, 'event', s.received_at, s.seq FROM stored s
        WHERE s.name IN (SELECT name FROM entries) OR (s.user_id, s.name) IN (SELECT user_id, name FROM listening)
        ORDER BY s.seq RETURNING event_seq
    )
    SELECT s.event_id FROM stored s JOIN told t ON t.event_seq = s.seq
    """
)


async def _store(
    connection: Connection, app: str, items: Sequence[Incoming], plan: Plan, received_at: datetime, *, is_history: bool
) -> set[str]:
    """Insert the events, and their outbox rows where somebody listens; returns the ids of the latter."""
    named = [(item, person) for item, person in zip(items, plan.people, strict=True) if item.name is not None]
    if not named:
        return set()
    values = {
        "app": app,
        "received_at": received_at,
        "is_history": is_history,
        "users": [_id(person) for _, person in named],
        "ids": [item.event_id for item, _ in named],
        "names": [item.name for item, _ in named],
        "properties": [_json(_unguarded(item.properties, item, person) if item.traits else item.properties) for item, person in named],
        "contexts": [_json(item.context) for item, _ in named],
        "occurred": [item.occurred_at for item, _ in named],
    }
    if is_history:
        await connection.execute(_STORE, values)
        return set()
    return set((await connection.execute(_STORE_AND_TELL, values)).scalars())


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
