"""What goes out: everything that is held about one person, section by section, and people as rows of a file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import TextClause, text

from storage.database import Connection, Database

AT_ONCE = 500

_PERSON = "SELECT id FROM users WHERE app = :app AND (id = :id OR merged_into = :id)"
# Short sections, each read at once.
_WHOLE: dict[str, TextClause] = {
    "ids": text(
        f"SELECT CASE kind WHEN 'u' THEN 'user_id' ELSE 'anonymous_id' END AS kind, value, created_at FROM identities"
        f" WHERE app = :app AND user_id IN ({_PERSON}) ORDER BY kind DESC, created_at, value"
    ),
    "endpoints": text(
        "SELECT e.id, e.channel, e.address, e.state, e.reason, e.device, s.reason AS suppression, e.confirmed_at, e.created_at,"
        " e.updated_at FROM endpoints e"
        " LEFT JOIN suppressions s ON s.app = e.app AND s.channel = e.channel AND s.address_hash = ANY(suppression_hashes(e.address_hash))"
        f" WHERE e.app = :app AND e.user_id IN ({_PERSON}) ORDER BY e.id"
    ),
    "consents": text(
        f"""SELECT c.channel, c.topic, c.state, c.source, c.proof, c.recorded_at, c.recorded_by, c.page, c.address, c.ip, c.user_agent,
            (SELECT t.body FROM consent_texts t WHERE t.app = c.app AND t.hash = c.text_hash) AS text
        FROM consents c WHERE c.app = :app AND c.user_id IN ({_PERSON}) ORDER BY c.id"""
    ),
    "in_app": text(
        "SELECT s.id, s.content, s.placement, s.in_inbox, s.priority, s.impressions, s.created_at, s.expires_at, s.dismissed_at, s.read_at,"
        " s.archived_at, coalesce((SELECT jsonb_agg(jsonb_build_object('kind', e.kind, 'at', e.occurred_at) ORDER BY e.occurred_at)"
        "  FROM in_app_events e WHERE e.app = s.app AND e.message_id = s.id), '[]') AS events"
        f" FROM in_app_messages s WHERE s.app = :app AND s.user_id IN ({_PERSON}) ORDER BY s.created_at, s.id"
    ),
    "listed": text(f"SELECT segment, added_at FROM listed_people WHERE app = :app AND user_id IN ({_PERSON}) ORDER BY segment, added_at"),
    "refused_entries": text(
        f"SELECT journey, event_id, reason, refused_at FROM refused_entries WHERE app = :app AND user_id IN ({_PERSON})"
        " ORDER BY refused_at, journey, event_id"
    ),
}
# Long sections, read by their key: `after` holds the last one of the page before.
_PAGED: dict[str, TextClause] = {
    "enrollments": text(
        "SELECT e.id, e.subject, e.journey, e.version, e.key, e.n, e.workflow_id, e.entry_name, e.entry_event_id, e.entry_properties,"
        " e.entered_at, e.started_at, e.state, e.ended_at, e.end_reason, coalesce((SELECT jsonb_agg(jsonb_build_object("
        "  'step', o.step, 'visit', o.visit, 'verdict', o.verdict, 'at', o.began_at) ORDER BY o.began_at)"
        "  FROM step_outcomes o WHERE o.app = e.app AND o.enrollment_id = e.id), '[]') AS outcomes"
        f" FROM enrollments e WHERE e.app = :app AND e.user_id IN ({_PERSON})"
        " AND (CAST(:after AS text) IS NULL OR e.id > CAST(:after AS uuid)) ORDER BY e.id LIMIT :most"
    ),
    "messages": text(
        "SELECT m.id, m.channel, coalesce(m.address, e.address) AS address, m.source, m.journey, m.step, m.visit, m.message_class, m.topic,"
        " m.template, m.template_version, m.state, m.reason, m.planned_at, m.claimed_at, m.settled_at, m.provider, m.answer,"
        " m.delivered_at, m.bounced_at, m.complained_at, m.opened_at, m.clicked_at, m.unsubscribed_at,"
        " d.content AS asked_for, s.content AS kept_by_sandbox"
        " FROM messages m LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id"
        " LEFT JOIN direct_sends d ON d.app = m.app AND d.message_id = m.id"
        " LEFT JOIN sandbox_messages s ON s.app = m.app AND s.id = m.id"
        f" WHERE m.app = :app AND m.user_id IN ({_PERSON})"
        " AND (CAST(:after AS text) IS NULL OR m.id > CAST(:after AS uuid)) ORDER BY m.id LIMIT :most"
    ),
    "events": text(
        "SELECT seq AS id, event_id, name, properties, context, occurred_at, received_at, is_history FROM events"
        f" WHERE app = :app AND user_id IN ({_PERSON})"
        " AND (CAST(:after AS text) IS NULL OR seq > CAST(:after AS bigint)) ORDER BY seq LIMIT :most"
    ),
}
SECTIONS = (*_WHOLE, *_PAGED)


async def rows_of(database: Database, app: str, internal_id: int, section: str) -> AsyncIterator[Mapping[str, Any]]:
    """Every row of one section, a page a transaction, so that a slow reader holds no connection."""
    values = {"app": app, "id": internal_id}
    if section in _WHOLE:
        async with database.transaction(app) as connection:
            rows = await _rows(connection, _WHOLE[section], values)
        for row in rows:
            yield row
        return
    after = None
    while True:
        async with database.transaction(app) as connection:
            rows = await _rows(connection, _PAGED[section], {**values, "after": after, "most": AT_ONCE})
        for row in rows:
            yield row
        if len(rows) < AT_ONCE:
            return
        after = str(rows[-1]["id"])


async def _rows(connection: Connection, statement: TextClause, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement, values)).mappings()]


# People as rows ---------------------------------------------------------------------------------------------------------

_IDS = text("SELECT id FROM users WHERE app = :app AND merged_into IS NULL AND id > :after ORDER BY id LIMIT :most")
_NAMES = text("""
    SELECT k.name FROM users u CROSS JOIN LATERAL jsonb_object_keys(u.attributes) AS k (name)
    WHERE u.app = :app AND u.merged_into IS NULL GROUP BY k.name ORDER BY k.name LIMIT :most
""")
_ROWS = text("""
    SELECT u.user_id, u.timezone, u.locale, u.attributes, coalesce((
        SELECT jsonb_object_agg(e.channel, e.address) FROM (
            SELECT DISTINCT ON (channel) channel, address FROM endpoints
            WHERE app = u.app AND user_id = u.id AND state = 'active' ORDER BY channel, confirmed_at DESC, id DESC
        ) AS e
    ), '{}') AS addresses
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS w (id, n) JOIN users u ON u.app = :app AND u.id = w.id
    WHERE u.user_id IS NOT NULL ORDER BY w.n
""")


async def ids(connection: Connection, app: str, after: int, most: int) -> list[int]:
    """Internal ids of everybody, in their order, behind `after`."""
    return list((await connection.execute(_IDS, {"app": app, "after": after, "most": most})).scalars())


async def attribute_names(connection: Connection, app: str, most: int) -> list[str]:
    """The names of all attributes that anybody has."""
    return list((await connection.execute(_NAMES, {"app": app, "most": most})).scalars())


async def rows(connection: Connection, app: str, ids: Sequence[int]) -> list[Mapping[str, Any]]:
    """user_id, timezone, locale, attributes and the newest active address of each channel, of those who have a user id."""
    return [dict(row) for row in (await connection.execute(_ROWS, {"app": app, "ids": list(ids)})).mappings()]
