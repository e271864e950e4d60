"""Who is who: which person each item of a batch speaks of, and which people turn out to be one.

The plan is pure and follows the items in their order; `resolve` reads what is known, creates what is missing, and repeats when
another transaction was quicker. Joining moves these pointers; events stay where they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import text

from storage.database import Connection, Contended

KNOWN = "u"
ANONYMOUS = "a"
_TRIES = 4

Key = tuple[str, str]
"""(kind, value): kind u is the caller's user id, a an anonymous id; the two are separate name spaces."""


class Mention(NamedTuple):  # made for every item: a tuple costs a fifth of a frozen dataclass
    """Whom one item names. `previous_id` (an alias) is an anonymous id, else a user id.

    `joins`: the item says that its ids are one person. `may_join_known`: it may even join two known people (server keys, alias only).
    """

    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    joins: bool = False
    is_trusted: bool = True
    may_join_known: bool = False


@dataclass(eq=False)
class Person:
    """A person as far as this transaction knows: `id` is None until the row exists; `user_id` is None while anonymous."""

    id: int | None
    user_id: str | None
    was_known_as: str | None = None
    one_with: "Person | None" = None
    is_promotion_trusted: bool = True

    @property
    def is_promoted(self) -> bool:
        return self.user_id != self.was_known_as

    @property
    def survivor(self) -> "Person":
        return self if self.one_with is None else self.one_with.survivor


@dataclass(frozen=True)
class Join:
    """Two stored people are one. Not trusted: the loser's addresses and consents may not reach the survivor."""

    survivor: Person
    loser: Person
    is_trusted: bool


@dataclass
class Plan:
    """What a batch says about people: `people` in the order of its items, `missing` keys with their person, and the joins.

    `withheld`: positions of aliases that would have joined two known people and may not.
    """

    people: list[Person] = field(default_factory=list)
    missing: dict[Key, Person] = field(default_factory=dict)
    joins: list[Join] = field(default_factory=list)
    stored: list[Person] = field(default_factory=list)
    withheld: set[int] = field(default_factory=set)


class _Planner:
    def __init__(self, known: Mapping[Key, tuple[int, str | None]]) -> None:
        rows = {id_: Person(id_, user_id, was_known_as=user_id) for id_, user_id in known.values()}
        self.by_key: dict[Key, Person] = {key: rows[id_] for key, (id_, _) in known.items()}
        self.plan = Plan(stored=list(rows.values()))

    def person(self, key: Key) -> Person:
        if key not in self.by_key:
            self._point(key, Person(None, key[1] if key[0] == KNOWN else None))
        return self.by_key[key].survivor

    def follow(self, mentions: Sequence[Mention]) -> Plan:
        for position, mention in enumerate(mentions):
            person = self.mention(mention)
            self.plan.people.append(person)
            other = self._other(mention)
            if mention.previous_id is not None and other is not None and self.person(other) is not person:
                self.plan.withheld.add(position)
        return self.plan

    def mention(self, mention: Mention) -> Person:
        if mention.user_id is None:
            return self.person((ANONYMOUS, mention.anonymous_id or ""))
        known = (KNOWN, mention.user_id)
        other = self._other(mention)
        if other is None:
            return self.person(known)
        return self._join(known, other, mention)

    def _other(self, mention: Mention) -> Key | None:
        if mention.previous_id is not None:
            as_known = (KNOWN, mention.previous_id)
            as_anonymous = (ANONYMOUS, mention.previous_id)
            return as_known if as_known in self.by_key and as_anonymous not in self.by_key else as_anonymous
        return (ANONYMOUS, mention.anonymous_id) if mention.joins and mention.anonymous_id is not None else None

    def _join(self, known: Key, other: Key, mention: Mention) -> Person:
        if (known not in self.by_key and other not in self.by_key) or other not in self.by_key:
            self._point(other, self.person(known))
        elif known not in self.by_key and self.person(other).user_id is None:
            self._promote(known, self.person(other), mention)
        elif self.person(known) is not self.person(other):
            self._unite(self.person(known), self.person(other), mention)
        return self.person(known)

    def _promote(self, known: Key, person: Person, mention: Mention) -> None:
        person.user_id = known[1]
        person.is_promotion_trusted = mention.is_trusted
        self._point(known, person)

    def _unite(self, one: Person, other: Person, mention: Mention) -> None:
        # A device that two people used has an anonymous id that belongs to the first: only an alias of a server says that they are one.
        if other.user_id is not None and not mention.may_join_known:
            return
        if one.id is None and other.id is not None:
            if other.user_id is None:
                other.user_id, other.is_promotion_trusted = one.user_id, mention.is_trusted
            one.one_with = other
        elif other.id is None:
            other.one_with = one
        else:
            other.one_with = one
            self.plan.joins.append(Join(one, other, mention.is_trusted))

    def _point(self, key: Key, person: Person) -> None:
        self.by_key[key] = self.plan.missing[key] = person


def plan(mentions: Sequence[Mention], known: Mapping[Key, tuple[int, str | None]]) -> Plan:
    """Follow the items in order. `known`: key -> (internal id, the caller's user id or None) of every key that is stored."""
    return _Planner(known).follow(mentions)


def keys_of(mentions: Sequence[Mention]) -> list[Key]:
    """Every key that the plan may look at, sorted: rows are created in this order, so that batches never wait for each other in a ring."""
    keys: set[Key] = set()
    for mention in mentions:
        if mention.user_id is not None:
            keys.add((KNOWN, mention.user_id))
        if mention.anonymous_id is not None and (mention.joins or mention.user_id is None):
            keys.add((ANONYMOUS, mention.anonymous_id))
        if mention.previous_id is not None:
            keys |= {(KNOWN, mention.previous_id), (ANONYMOUS, mention.previous_id)}
    return sorted(keys)


# LATERAL with LIMIT probes the index once a key, whatever the statistics say: a plan that reads all people would be kept for hours.
# Whom a user id points to is known; whether an anonymous id points to somebody known stands in their row. Arrays are read in one go.
PROBE = """
    SELECT array_agg(k.n) AS positions, array_agg(i.id) AS ids,
        array_agg(coalesce(u.user_id, CASE WHEN k.kind = 'u' THEN k.value END)) AS user_ids
    FROM unnest(CAST(:kinds AS text[]), CAST(:vals AS text[])) WITH ORDINALITY AS k (kind, value, n)
    CROSS JOIN LATERAL (SELECT i.user_id AS id FROM identities i
        WHERE i.app = :app AND i.kind = CAST(k.kind AS char(1)) AND i.value = k.value LIMIT 1) AS i
    LEFT JOIN LATERAL (SELECT u.user_id FROM users u WHERE k.kind = 'a' AND u.app = :app AND u.id = i.id LIMIT 1) AS u ON true
"""
_READ = text(PROBE)
# A person is made only with at least one of their keys: who loses the race for all of them leaves no orphan behind.
_CREATE = text(
    """
    WITH person AS MATERIALIZED (
        SELECT number, user_id, nextval('users_id_seq') AS id
        FROM unnest(CAST(:numbers AS int[]), CAST(:user_ids AS text[])) AS p (number, user_id)
    ), linked AS (
        INSERT INTO identities (app, kind, value, user_id)
        SELECT :app, k.kind, k.value, coalesce(k.stored, person.id)
        FROM unnest(CAST(:kinds AS text[]), CAST(:vals AS text[]), CAST(:stored AS bigint[]), CAST(:owners AS int[]))
            AS k (kind, value, stored, number)
        LEFT JOIN person ON person.number = k.number
        ORDER BY k.kind, k.value
        ON CONFLICT DO NOTHING
        RETURNING kind, value, user_id
    ), made AS (
        INSERT INTO users (app, id, user_id) OVERRIDING SYSTEM VALUE
        SELECT :app, person.id, (SELECT l.value FROM linked l WHERE l.user_id = person.id AND l.kind = 'u' AND l.value = person.user_id)
        FROM person WHERE EXISTS (SELECT FROM linked l WHERE l.user_id = person.id)
    )
    SELECT kind, value, user_id FROM linked
    """
)


async def resolve(connection: Connection, app: str, mentions: Sequence[Mention], known: Mapping[Key, tuple[int, str | None]]) -> Plan:
    """Find or make the person of each mention. `known` was read in this transaction; it must be checked again under the lock.

    Raises Contended when other transactions were quicker again and again.
    """
    for _ in range(_TRIES):
        made = plan(mentions, known)
        if not made.missing or await _create(connection, app, made):
            return made
        known = await read(connection, app, keys_of(mentions))
    raise Contended("others are creating the same people")


async def read(connection: Connection, app: str, keys: Sequence[Key]) -> dict[Key, tuple[int, str | None]]:
    """What each stored key points to: (internal id, the caller's user id or None). Keys that are not stored are left out."""
    row = (await connection.execute(_READ, {"app": app, **probe(keys)})).one()
    return found(keys, row)


def probe(keys: Sequence[Key]) -> dict[str, list[str]]:
    """The parameters of PROBE, beside the app."""
    return {"kinds": [kind for kind, _ in keys], "vals": [value for _, value in keys]}


def found(keys: Sequence[Key], row: Any) -> dict[Key, tuple[int, str | None]]:
    """What a row of PROBE says of these keys."""
    people = zip(row.ids or (), row.user_ids or (), strict=True)
    return {keys[position - 1]: person for position, person in zip(row.positions or (), people, strict=True)}


async def _create(connection: Connection, app: str, made: Plan) -> bool:
    """Write missing keys and people. False: another transaction took one of the keys, so the plan is void."""
    missing = sorted(made.missing.items(), key=lambda item: item[0])
    fresh = {person: number for number, person in enumerate(dict.fromkeys(p.survivor for _, p in missing if p.survivor.id is None))}
    rows = await connection.execute(
        _CREATE,
        {
            "app": app,
            "numbers": list(fresh.values()),
            "user_ids": [person.user_id for person in fresh],
            "kinds": [kind for (kind, _), _ in missing],
            "vals": [value for (_, value), _ in missing],
            "stored": [person.survivor.id for _, person in missing],
            "owners": [fresh.get(person.survivor) for _, person in missing],
        },
    )
    linked = {(row.kind, row.value): row.user_id for row in rows}
    if len(linked) < len(missing):
        return False
    for key, person in missing:
        person.survivor.id = linked[key]
    return True
