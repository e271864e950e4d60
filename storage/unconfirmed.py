"""Messages of which nobody knows whether they went out: how they come to be, are listed, and end.

Every statement here takes the ledger's row before that of the side table, as claims and settlements do, and waits for neither.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection
from storage.messages import TOLD

_MOST = 500

_LAPSED = f"CASE WHEN {TOLD.format('m')} IS NULL THEN 'unknown' ELSE 'sent' END"
_LAPSE = text(f"""
WITH late AS (
  SELECT m.id FROM messages m WHERE m.state = 'claimed' AND m.claim_until <= clock_timestamp() AND m.id IN
    (SELECT o.message_id FROM open_messages o WHERE o.kind = 'claimed' AND o.due_at <= clock_timestamp() ORDER BY o.due_at LIMIT :most)
  FOR UPDATE SKIP LOCKED
), lapsed AS (
  UPDATE messages m SET state = {_LAPSED}, reason = CASE WHEN {_LAPSED} = 'unknown' THEN 'unconfirmed' END, claim_until = NULL,
    settled_at = clock_timestamp()
  FROM late WHERE m.id = late.id AND m.state = 'claimed' AND m.claim_until <= clock_timestamp()
  RETURNING m.id, m.state, m.message_class, m.maybe_doubled, m.repeat_until
), listed AS (
  UPDATE open_messages o SET kind = 'unknown', due_at = clock_timestamp() + make_interval(secs => CASE
    WHEN l.repeat_until > clock_timestamp() THEN CAST(:safe_s AS float8)
    WHEN l.message_class = 'transactional' AND NOT l.maybe_doubled THEN CAST(:repeat_s AS float8)
    ELSE CAST(:patience_s AS float8) END)
  FROM lapsed l WHERE o.message_id = l.id AND l.state = 'unknown'
), gone AS (
  DELETE FROM open_messages o USING lapsed l WHERE o.message_id = l.id AND l.state = 'sent'
)
SELECT count(*) FROM lapsed WHERE state = 'unknown'
""")
# A journey's Send does this itself, under its own rules, when its activity comes back; a campaign's message is never repeated. Nor is what
# holds for a while, such as a one-time code: whoever planned it sends a new one.
_PLAN_AGAIN = text("""
WITH due AS (
  SELECT m.id FROM messages m WHERE m.state = 'unknown' AND m.journey IS NULL
    AND (m.repeat_until > clock_timestamp() OR (m.message_class = 'transactional' AND NOT m.maybe_doubled))
    AND m.id IN (SELECT o.message_id FROM open_messages o WHERE o.kind = 'unknown' AND o.due_at <= clock_timestamp() LIMIT :most)
    AND EXISTS (SELECT FROM direct_sends d WHERE d.app = m.app AND d.message_id = m.id AND d.holds_until IS NULL)
  FOR UPDATE SKIP LOCKED
), planned AS (
  UPDATE messages m SET state = 'planned', maybe_doubled = m.maybe_doubled OR coalesce(m.repeat_until <= clock_timestamp(), true),
    settled_at = NULL
  FROM due WHERE m.id = due.id AND m.state = 'unknown' RETURNING m.id
), listed AS (
  UPDATE open_messages o SET kind = 'direct', due_at = clock_timestamp() FROM planned p WHERE o.message_id = p.id
)
SELECT count(*) FROM planned
""")
_GIVE_UP = text("""
WITH due AS (
  SELECT m.id, least(m.settled_at + make_interval(secs => :patience_s), d.holds_until) AS over_at
  FROM messages m LEFT JOIN direct_sends d ON d.app = m.app AND d.message_id = m.id WHERE m.state = 'unknown'
    AND (m.message_class <> 'transactional' OR m.maybe_doubled OR d.message_id IS NULL OR d.holds_until IS NOT NULL)
    AND m.id IN (SELECT o.message_id FROM open_messages o WHERE o.kind = 'unknown' AND o.due_at <= clock_timestamp() LIMIT :most)
  FOR UPDATE OF m SKIP LOCKED
), given AS (
  UPDATE messages m SET state = 'given_up', reason = 'unconfirmed', settled_at = clock_timestamp() FROM due
  WHERE m.id = due.id AND m.state = 'unknown' AND due.over_at <= clock_timestamp() RETURNING m.app, m.id
), gone AS (
  DELETE FROM open_messages o USING given g WHERE o.message_id = g.id
), forgotten AS (
  DELETE FROM direct_sends d USING given g WHERE d.app = g.app AND d.message_id = g.id
), later AS (
  UPDATE open_messages o SET due_at = d.over_at FROM due d WHERE o.message_id = d.id AND d.over_at > clock_timestamp()
)
SELECT count(*) FROM given
""")
# Of one that was sent twice either try may be the one that is found.
_TO_ASK = text("""
SELECT m.app, m.id, m.channel, m.provider, coalesce(m.address, e.address) AS address,
  CASE WHEN m.maybe_doubled THEN m.planned_at ELSE m.claimed_at END AS claimed_at
FROM open_messages o JOIN messages m ON m.id = o.message_id AND m.app = o.app
LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id
WHERE o.kind = 'unknown' AND m.state = 'unknown' AND coalesce(m.address, e.address) IS NOT NULL
  AND m.settled_at <= clock_timestamp() - make_interval(secs => :after_s)
  AND o.message_id > coalesce(CAST(:behind AS uuid), '00000000-0000-0000-0000-000000000000')
ORDER BY o.message_id LIMIT :most
""")
_NOT_OUT = text("""
WITH over AS (
  UPDATE messages SET state = 'given_up', reason = 'not_sent', settled_at = clock_timestamp()
  WHERE app = :app AND id = :id AND state = 'unknown' RETURNING id
),
gone AS (DELETE FROM open_messages o USING over v WHERE o.message_id = v.id)
SELECT count(*) FROM over
""")
_CONFIRM = text("""
WITH sent AS (
  UPDATE messages SET state = 'sent', reason = NULL, provider = coalesce(provider, CAST(:provider AS text))
  WHERE app = :app AND id = :id AND state = 'unknown' RETURNING id
),
gone AS (DELETE FROM open_messages o USING sent s WHERE o.message_id = s.id),
referred AS (
  INSERT INTO provider_refs (app, provider, ref, message_id) SELECT :app, CAST(:provider AS text), CAST(:ref AS text), id FROM sent
  WHERE CAST(:ref AS text) IS NOT NULL AND CAST(:provider AS text) IS NOT NULL ON CONFLICT DO NOTHING
)
SELECT count(*) FROM sent
""")


@dataclass(frozen=True)
class Unsettled:
    """An unconfirmed message that its provider may be asked about; None: whoever had it died before that was written down."""

    app: str
    id: UUID
    channel: str
    provider: str | None
    address: str
    claimed_at: datetime


async def to_ask(connection: Connection, *, after: timedelta, behind: UUID | None, most: int) -> list[Unsettled]:
    """Unconfirmed messages of every app that have been so for at least `after`, by id, those behind this one."""
    rows = (await connection.execute(_TO_ASK, {"after_s": after.total_seconds(), "behind": behind, "most": most})).mappings()
    return [Unsettled(**row) for row in rows]


async def let_claims_lapse(connection: Connection, *, repeat_after: timedelta, safe_after: timedelta, patience: timedelta) -> int:
    """Turn claims whose time is over into unconfirmed messages; return how many. `safe_after`: when one that cannot double is repeated."""
    waits = {"repeat_after": repeat_after, "safe_after": safe_after, "patience": patience}
    seconds = {f"{name.removesuffix('_after')}_s": wait.total_seconds() for name, wait in waits.items()}
    return int((await connection.execute(_LAPSE, {**seconds, "most": _MOST})).scalar_one())


async def plan_again(connection: Connection) -> int:
    """Plan unconfirmed direct sends again, those that cannot double and the transactional ones, once, as maybe doubled; return how many."""
    return int((await connection.execute(_PLAN_AGAIN, {"most": _MOST})).scalar_one())


async def give_up(connection: Connection, *, patience: timedelta) -> int:
    """End what stayed unconfirmed for so long; return how many."""
    return int((await connection.execute(_GIVE_UP, {"patience_s": patience.total_seconds(), "most": _MOST})).scalar_one())


async def confirm(connection: Connection, app: str, message_id: UUID, *, provider: str | None = None, ref: str | None = None) -> bool:
    """Somebody knows that an unconfirmed message went out; `ref` is the provider's id of it. False when it was not unconfirmed."""
    keys = {"app": app, "id": message_id, "provider": provider, "ref": ref}
    return bool((await connection.execute(_CONFIRM, keys)).scalar_one())


async def did_not_go_out(connection: Connection, app: str, message_id: UUID) -> bool:
    """Somebody knows that an unconfirmed message did not go out: it is over. False when it was not unconfirmed."""
    return bool((await connection.execute(_NOT_OUT, {"app": app, "id": message_id})).scalar_one())
