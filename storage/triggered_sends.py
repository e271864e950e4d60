"""What campaigns on events have sent: rows beside the ledger's until a message is over, then counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Outcome:
    """So many messages of one version stand like this."""

    variant: str
    state: str
    reason: str | None
    messages: int


_NOTE = text("""
    INSERT INTO triggered_sends (app, campaign, launch, variant, message_id)
    SELECT :app, :campaign, :launch, :variant, id FROM unnest(CAST(:ids AS uuid[])) AS given (id)
""")
# By the key of each, whatever statistics say: else the whole ledger may be read for a few of its rows.
_MESSAGE = "CROSS JOIN LATERAL (SELECT state, reason FROM messages WHERE app = t.app AND id = t.message_id OFFSET 0) AS m"
_COUNTED = text(f"""
    SELECT variant, state, nullif(reason, '') AS reason, sum(messages)::bigint AS messages FROM (
        SELECT variant, state, reason, messages FROM triggered_tallies WHERE app = :app AND campaign = :campaign AND launch = :launch
        UNION ALL
        SELECT t.variant, m.state, coalesce(m.reason, ''), count(*) FROM triggered_sends t {_MESSAGE}
        WHERE t.app = :app AND t.campaign = :campaign AND t.launch = :launch GROUP BY 1, 2, 3
    ) AS each GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
_LEFT = text(f"""
    SELECT t.message_id FROM triggered_sends t {_MESSAGE}
    WHERE t.app = :app AND t.campaign = :campaign AND t.launch = :launch AND m.state IN ('planned', 'deferred') ORDER BY t.message_id
""")
# In one order, so that two who keep house at once do not wait for each other crosswise.
_TALLY = text(f"""
    WITH over AS (
        SELECT t.app, t.campaign, t.launch, t.message_id, m.state, m.reason FROM triggered_sends t {_MESSAGE}
        WHERE m.state IN ('sent', 'rejected', 'skipped', 'given_up') LIMIT :most FOR UPDATE OF t SKIP LOCKED
    ), gone AS (
        DELETE FROM triggered_sends t USING over o
        WHERE t.app = o.app AND t.campaign = o.campaign AND t.launch = o.launch AND t.message_id = o.message_id
        RETURNING t.app, t.campaign, t.launch, t.variant, o.state, coalesce(o.reason, '') AS reason
    ), tallied AS (
        INSERT INTO triggered_tallies AS t (app, campaign, launch, variant, state, reason, messages)
        SELECT app, campaign, launch, variant, state, reason, count(*) FROM gone GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (app, campaign, launch, variant, state, reason) DO UPDATE SET messages = t.messages + EXCLUDED.messages
    )
    SELECT count(*) FROM gone
""")


async def note(connection: Connection, app: str, campaign: str, launch: int, variant: str, ids: Sequence[UUID]) -> None:
    """Write down that these messages, which were just planned, are this version of the campaign."""
    values = {"app": app, "campaign": campaign, "launch": launch, "variant": variant, "ids": list(ids)}
    await connection.execute(_NOTE, values)


async def counted(connection: Connection, app: str, campaign: str, launch: int) -> list[Outcome]:
    """How the messages of one launch stand: each once, whether it was tallied or not."""
    rows = await connection.execute(_COUNTED, {"app": app, "campaign": campaign, "launch": launch})
    return [Outcome(*row) for row in rows]


async def left(connection: Connection, app: str, campaign: str, launch: int) -> list[UUID]:
    """The messages of one launch that have not left, in order of their ids."""
    return list((await connection.execute(_LEFT, {"app": app, "campaign": campaign, "launch": launch})).scalars())


async def tally(connection: Connection, most: int) -> int:
    """Turn the rows of messages that are over into counts, in every app; returns of how many."""
    return int((await connection.execute(_TALLY, {"most": most})).scalar_one())
