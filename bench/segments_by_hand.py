"""Segments of a shop as conditions, and the same people by SQL written by hand, as fast as we know how.

People are rows of `users`; whoever was found to be somebody else counts as that person. What the hand knows and uses: few people were
joined, every attribute is of the type that it should be, and which indexes there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from journeys.language import ago, days, did, did_not, has, in_segment, last_did, near, prop, sample, subscribed, trait
from journeys.language.conditions import AnyCondition

LISTED = "friends"


@dataclass(frozen=True)
class Written:
    """One segment; `sql` gives internal ids."""

    name: str
    condition: AnyCondition
    sql: str


_USERS = "SELECT u.id FROM users u WHERE u.app = 'demo' AND u.merged_into IS NULL"
_MERGED = "users m ON m.app = 'demo' AND m.merged_into IS NOT NULL AND m.id"


def _since(span: str) -> str:
    return f"occurred_at >= :now - interval '{span}' AND occurred_at <= :now"


def _counted(name: str, span: str, what: str, having: str) -> str:
    """Those of whom it holds, whoever they were then: counted by who they were, then joined."""
    return f"""(SELECT coalesce(m.merged_into, d.user_id) AS id FROM (
        SELECT user_id, {what} AS n FROM events WHERE app = 'demo' AND name = '{name}' AND {_since(span)} GROUP BY user_id) d
        LEFT JOIN {_MERGED} = d.user_id GROUP BY 1 HAVING {having})"""


def _done(name: str, span: str) -> str:
    return f"""(SELECT coalesce(m.merged_into, d.user_id) FROM (
        SELECT DISTINCT user_id FROM events WHERE app = 'demo' AND name = '{name}' AND {_since(span)}) d LEFT JOIN {_MERGED} = d.user_id)"""


_PRICE = "sum((properties ->> 'price')::numeric)"
_LAST_ORDER = f"""(SELECT coalesce(m.merged_into, d.user_id) AS id FROM (SELECT user_id, max(occurred_at) AS n FROM events
    WHERE app = 'demo' AND name = 'order_placed' AND occurred_at <= :now GROUP BY user_id) d
    LEFT JOIN {_MERGED} = d.user_id GROUP BY 1 HAVING max(n) < :now - interval '60 days')"""
_SEQUENCE = f"""(WITH happened AS (
        SELECT coalesce(m.merged_into, e.user_id) AS id, e.occurred_at, e.name FROM events e LEFT JOIN {_MERGED} = e.user_id
        WHERE e.app = 'demo' AND e.name IN ('cart_updated', 'order_placed') AND {_since("90 days")}
    ), ordered AS (
        SELECT id, name, occurred_at, min(occurred_at) FILTER (WHERE name = 'order_placed') OVER (
            PARTITION BY id ORDER BY occurred_at RANGE BETWEEN '1 microsecond' FOLLOWING AND '3 days' FOLLOWING) AS bought FROM happened)
    SELECT id FROM ordered WHERE name = 'cart_updated' AND bought IS NOT NULL)"""
_LEFT_NEWS = """(SELECT user_id FROM consents WHERE app = 'demo' AND topic IN ('news', '*')
    GROUP BY user_id HAVING max(id) = max(id) FILTER (WHERE state = 'withdrawn'))"""
_LEFT_ALL = """(SELECT user_id FROM consents WHERE app = 'demo' AND topic = '*' AND channel = '*'
    GROUP BY user_id HAVING max(id) = max(id) FILTER (WHERE state = 'withdrawn'))"""
_LATITUDE, _LONGITUDE = ("(attributes -> 'location' ->> 'latitude')::float8", "(attributes -> 'location' ->> 'longitude')::float8")
_PARTS = "length_prefixed('demo', '$sample', '')"

WRITTEN: Sequence[Written] = (
    Written("plan-gold", trait("plan") == "gold", f"{_USERS} AND u.attributes ->> 'plan' = 'gold'"),
    Written("in-berlin", trait("address.city") == "Berlin", f"{_USERS} AND u.attributes -> 'address' ->> 'city' = 'Berlin'"),
    Written(
        "new-this-month",
        trait("signed_up_at").after(ago(days(30))),
        f"{_USERS} AND (u.attributes ->> 'signed_up_at')::timestamptz > :now - interval '30 days'",
    ),
    Written(
        "three-carts",
        did("cart_updated", at_least=3, last=days(30)),
        f"{_USERS} AND u.id IN {_counted('cart_updated', '30 days', 'count(*)', 'sum(n) >= 3')}",
    ),
    Written(
        "spenders",
        did("order_placed", total=prop("price"), at_least=200, last=days(90)),
        f"{_USERS} AND u.id IN {_counted('order_placed', '90 days', _PRICE, 'sum(n) >= 200')}",
    ),
    Written(
        "lapsed",
        (trait("lifetime_value") > 0) & did_not("order_placed", last=days(90)),
        f"""{_USERS} AND (u.attributes ->> 'lifetime_value')::numeric > 0
        AND NOT EXISTS (SELECT FROM {_done("order_placed", "90 days")} AS o (id) WHERE o.id = u.id)""",
    ),
    Written("long-not-ordered", last_did("order_placed").before(ago(days(60))), f"{_USERS} AND u.id IN {_LAST_ORDER}"),
    Written(
        "carts-that-became-orders",
        did("cart_updated", then="order_placed", within=days(3), last=days(90)),
        f"{_USERS} AND u.id IN {_SEQUENCE}",
    ),
    Written(
        "to-be-thanked",
        ((trait("plan") == "gold") | did("review_written", last=days(90))) & did_not("order_placed", last=days(30)),
        f"""{_USERS} AND (u.attributes ->> 'plan' = 'gold' OR u.id IN {_done("review_written", "90 days")})
        AND NOT EXISTS (SELECT FROM {_done("order_placed", "30 days")} AS o (id) WHERE o.id = u.id)""",
    ),
    Written(
        "golden-friends",
        in_segment("plan-gold") & in_segment(LISTED),
        f"""{_USERS} AND u.attributes ->> 'plan' = 'gold'
        AND u.id IN (SELECT user_id FROM listed_people WHERE app = 'demo' AND segment = '{LISTED}')""",
    ),
    Written(
        "reachable",
        has("email") & subscribed("news"),
        f"""{_USERS} AND u.id IN (SELECT user_id FROM endpoints WHERE app = 'demo' AND channel = 'email' AND state = 'active')
        AND NOT EXISTS (SELECT FROM {_LEFT_NEWS} AS l (id) WHERE l.id = u.id)
        AND NOT EXISTS (SELECT FROM {_LEFT_ALL} AS l (id) WHERE l.id = u.id)""",
    ),
    Written(
        "near-ulm",
        near(48.4, 9.99, 50),
        f"""{_USERS} AND {_LATITUDE} BETWEEN 48.4 - 0.46 AND 48.4 + 0.46 AND {_LONGITUDE} BETWEEN 9.99 - 0.7 AND 9.99 + 0.7
        AND 2 * 6371 * asin(sqrt(sin(radians({_LATITUDE} - 48.4) / 2) ^ 2
            + cos(radians({_LATITUDE})) * cos(radians(48.4)) * sin(radians({_LONGITUDE} - 9.99) / 2) ^ 2)) <= 50""",
    ),
    Written(
        "a-tenth",
        sample(10),
        f"""{_USERS} AND (SELECT mod((('x' || encode(substr(h, 1, 4), 'hex'))::bit(32)::bigint * 7296
            + ('x' || encode(substr(h, 5, 4), 'hex'))::bit(32)::bigint), 10000) FROM (SELECT sha256((SELECT {_PARTS})
            || int4send(octet_length(s)) || s) AS h FROM (SELECT convert_to(coalesce(u.user_id, (SELECT i.value FROM identities i
                WHERE i.app = 'demo' AND i.user_id = u.id AND i.kind = 'a' ORDER BY i.created_at, i.value LIMIT 1)), 'UTF8') AS s
                OFFSET 0) AS named OFFSET 0) AS hashed) < 1000""",
    ),
)
