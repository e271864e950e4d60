"""The plan of a run: one statement writes the ledger's row of everybody, and puts those who are to be written to into chunks.

Whom it is for, who is held out and which version somebody gets are all decided here, as of one moment; who comes later is not written to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ClauseElement, Executable, Select, Text, TextClause, and_, bindparam, case, cast, func, not_, null, or_, select, text
from sqlalchemy.ext.compiler import compiles

from journeys.language import assign
from journeys.language.conditions import InSegment
from journeys.language.reasons import FAILED
from storage.campaign_sends import VISIT, source_of
from storage.conditions import NO_ENROLLMENT, of_segment
from storage.database import Connection
from storage.endpoints import WITHOUT_ADDRESS
from storage.expressions import APP, subject
from storage.ids import length_prefixed, time_bytes
from storage.segments import Definition
from storage.tables import messages, users

CHUNK = 200
HELD_OUT = "held_out"
APP_HOLDOUT = "app_holdout"
_MOST_MEMORY = "256MB"
_MAY_HAVE_GONE_OUT = ("claimed", "sent", "unknown", "given_up")


@dataclass(frozen=True)
class Step:
    """One version: the messages that carry its name, to `weight` percent of the people. The last takes what rounding leaves.

    Its messages are due so long `after` the plan.
    """

    name: str
    weight: float
    channel: str
    template: str
    after: timedelta = timedelta()


@dataclass(frozen=True)
class Audience:
    """Everybody of a segment; with `failed_of` only those to whom that run's message could not be sent, each with the version of then.

    `winner`: the version that those get who waited for one in that run; None: they wait again.
    """

    name: str
    segments: Mapping[str, Definition]
    failed_of: UUID | None = None
    winner: str | None = None


@dataclass(frozen=True)
class Planning:
    """What a run's plan goes by. `tested`: the percentage that gets versions, the others wait as `rest`; None: all get one.

    `app_holdout`: who is held out of all marketing. `most_people`: drawn by hash, always the same.
    """

    app: str
    run_id: UUID
    campaign: str
    audience: Audience
    steps: Sequence[Step]
    message_class: str
    topic: str | None
    holdout: float = 0
    app_holdout: assign.AppHoldout | None = None
    tested: float | None = None
    rest: str = "rest"
    most_people: int | None = None
    by_zone: bool = False
    chunk: int = CHUNK
    """How many messages are taken together."""


class _With(Executable, ClauseElement):
    """A statement over the people whom a select gives."""

    inherit_cache = False

    def __init__(self, audience: Select[Any], rest: TextClause) -> None:
        self.audience, self.rest = audience, rest


@compiles(_With)
def _with_in_sql(element: _With, compiler: Any, **options: Any) -> str:
    audience, rest = compiler.process(element.audience, **options), compiler.process(element.rest, **options)
    return f"WITH audience AS MATERIALIZED ({audience}){rest}"


# A stronger lock would keep a person who decides on a winner waiting for minutes: the row of their decision names the run.
_BEGUN = text("SELECT began_at FROM campaign_runs WHERE app = :app AND id = :run_id AND state = 'planning' FOR NO KEY UPDATE")
# Where a month has no partition of its own, the default one took the rows.
_PARTITION = text("SELECT coalesce(to_regclass(:month)::text, 'messages_other')")
_BOUNDS = text("SELECT set_config('work_mem', :memory, true)")
_REST = text("""
, drawn AS MATERIALIZED (
  SELECT a.id, a.zone,
    CASE WHEN :app_holdout > 0 AND bucket(:app, '$holdout', :app_salt, a.subject) < :app_holdout THEN :app_held_out
      WHEN :holdout > 0 AND bucket(:app, :hashed_as, '$holdout', a.subject) < :holdout THEN :held_out END AS reason,
    CASE WHEN a.step IS NOT NULL THEN a.step
      WHEN CAST(:tested AS integer) IS NOT NULL AND bucket(:app, :hashed_as, '$tested', a.subject) >= :tested THEN :rest
      WHEN cardinality(CAST(:names AS text[])) = 1 THEN (CAST(:names AS text[]))[1]
      ELSE arm(bucket(:app, :hashed_as, '$variant', a.subject), CAST(:names AS text[]), CAST(:ends AS integer[])) END AS step
  FROM audience a
), versions AS (
  SELECT * FROM unnest(CAST(:names AS text[]) || CAST(:rest_names AS text[]), CAST(:channels AS text[]), CAST(:templates AS text[]),
    CAST(:have_addresses AS boolean[]), CAST(:named AS bytea[]), CAST(:afters AS interval[]))
    AS v (step, channel, template, has_address, named, later_by)
), placed AS (
  SELECT d.id AS user_id, d.zone, d.step, v.channel, v.template, v.named, v.later_by, e.id AS endpoint_id,
    CASE WHEN NOT v.has_address THEN 'user' ELSE coalesce(e.id::text, 'none') END AS target,
    -- What stands for the target in the id: two people have none of the same.
    CASE WHEN NOT v.has_address THEN 'user/' || d.id ELSE coalesce(e.id::text, 'none/' || d.id) END AS called,
    CASE WHEN d.reason IS NOT NULL THEN d.reason
      WHEN v.has_address AND e.id IS NULL THEN CASE WHEN EXISTS (SELECT FROM endpoints o WHERE o.app = :app AND o.user_id = d.id
        AND o.channel = v.channel) THEN 'inactive_endpoint' ELSE 'no_endpoint' END END AS reason
  FROM drawn d JOIN versions v ON v.step = d.step LEFT JOIN LATERAL (
    SELECT e.id FROM endpoints e WHERE v.has_address AND d.reason IS NULL AND e.app = :app AND e.user_id = d.id AND e.channel = v.channel
      AND e.state = 'active' ORDER BY e.confirmed_at DESC, e.id DESC LIMIT CASE WHEN v.channel = 'push' THEN NULL ELSE 1 END
  ) e ON true
), hashed AS MATERIALIZED (
  SELECT p.*, sha256(p.named || int4send(octet_length(convert_to(p.called, 'UTF8'))) || convert_to(p.called, 'UTF8')) AS digest,
    row_number() OVER (PARTITION BY p.step, p.reason IS NULL ORDER BY CASE WHEN :by_zone THEN p.zone END, p.user_id, p.endpoint_id) AS n
  FROM placed p
), numbered AS MATERIALIZED (
  -- As message_id() has it, without the cost of a function: version and variant of RFC 9562 between time and hash.
  SELECT h.*, encode(CAST(:time AS bytea)
    || set_byte(substring(h.digest FROM 1 FOR 2), 0, (get_byte(h.digest, 0) & 15) | 128)
    || set_byte(substring(h.digest FROM 3 FOR 8), 0, (get_byte(h.digest, 2) & 63) | 128), 'hex')::uuid AS id
  FROM hashed h
), written AS (
  INSERT INTO messages (id, app, user_id, endpoint_id, source, step, visit, target, channel, message_class, topic, template, state, reason,
    settled_at)
  SELECT id, :app, user_id, endpoint_id, :run_source, step, 1, target, channel, :message_class, CAST(:topic AS text), template,
    CASE WHEN reason IS NULL THEN 'planned' ELSE 'skipped' END, reason, CASE WHEN reason IS NOT NULL THEN clock_timestamp() END
  FROM numbered
), chunked AS (
  INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at, waits_for)
  SELECT :app, :run_id, step, array_agg(id ORDER BY n),
    CASE WHEN step = :rest THEN 'infinity'::timestamptz ELSE statement_timestamp() + later_by END,
    CASE WHEN step = :rest THEN 'no_winner_yet' WHEN later_by > interval '0' THEN 'not_due' END
  FROM numbered WHERE reason IS NULL GROUP BY step, later_by, (n - 1) / :chunk
), tallied AS (
  INSERT INTO campaign_tallies (app, run_id, step, state, reason, shard, messages)
  SELECT :app, :run_id, step, CASE WHEN reason IS NULL THEN 'planned' ELSE 'skipped' END, coalesce(reason, ''), 0, count(*)
  FROM numbered GROUP BY 3, 4, 5
)
UPDATE campaign_runs SET state = 'running', planned_at = clock_timestamp(), template_versions = (
  SELECT coalesce(jsonb_object_agg(t.name, t.live_version), '{}') FROM templates t
  WHERE t.app = :app AND t.name = ANY(CAST(:templates AS text[]))
) WHERE app = :app AND id = :run_id
""")


async def plan(connection: Connection, planning: Planning) -> bool:
    """Write the plan of a run, once; False where it is not to be planned any more.

    The whole of it is one transaction, the caller's, whose one statement may take minutes for a million people.
    """
    began_at = (await connection.execute(_BEGUN, {"app": planning.app, "run_id": planning.run_id})).scalar()
    if began_at is None:
        return False
    await connection.execute(_BOUNDS, {"memory": _MOST_MEMORY})
    values = {**_values(planning), "time": time_bytes(began_at), "at": began_at, **NO_ENROLLMENT}
    await connection.execute(_With(_audience(planning), _REST), values)
    # Statistics that know nothing of these rows would have each lane read all of them for its fifty.
    partition = (await connection.execute(_PARTITION, {"month": f"messages_{began_at:%Y%m}"})).scalar_one()
    for table in (partition, "campaign_chunks"):
        await connection.execute(text(f"ANALYZE {table}"))
    return True


def _audience(planning: Planning) -> Select[Any]:
    audience = planning.audience
    failed = _failed().subquery()
    step = failed.c.step if audience.failed_of else cast(null(), Text)
    people = select(users.c.id, users.c.timezone.label("zone"), subject().label("subject"), step.label("step")).where(
        users.c.app == APP, users.c.merged_into.is_(None)
    )
    if audience.failed_of is None:
        people = people.where(of_segment(InSegment(audience.name), tuple(sorted(audience.segments.items(), key=itemgetter(0)))))
    else:
        people = people.join(failed, failed.c.user_id == users.c.id)
    if planning.most_people is not None:
        people = people.order_by(func.hashint8extended(users.c.id, 0), users.c.id).limit(planning.most_people)
    return people


def _failed() -> Select[Any]:
    """Of whom a run's message was refused, or could not be made or handed over, with the version that they were to get.

    Who is held out, or wants nothing, has not failed; nor has who may have got it on another device.
    """
    of_run = and_(messages.c.app == APP, messages.c.source == bindparam("failed_of_source"))
    code = func.split_part(messages.c.reason, ":", 1)
    failed = or_(messages.c.state == "rejected", and_(messages.c.state == "skipped", code.in_(sorted(FAILED))))
    waited = messages.c.step == bindparam("rest")
    step = case((waited, func.coalesce(cast(bindparam("winner"), Text), messages.c.step)), else_=messages.c.step)
    may_have_it = func.bool_or(messages.c.state.in_(_MAY_HAVE_GONE_OUT))
    return (
        select(messages.c.user_id, func.min(step).filter(failed).label("step"))
        .where(of_run)
        .group_by(messages.c.user_id)
        .having(func.bool_or(failed), not_(may_have_it))
    )


def _values(planning: Planning) -> dict[str, Any]:
    steps, app_holdout = planning.steps, planning.app_holdout
    rest = steps[:1] if planning.tested is not None else ()
    sent = [*steps, *rest]
    names, source = [step.name for step in steps], source_of(planning.run_id)
    is_marketing = planning.message_class == "marketing"
    return {
        "app": planning.app,
        "run_id": planning.run_id,
        "run_source": source,
        "failed_of_source": source_of(planning.audience.failed_of) if planning.audience.failed_of else "",
        "winner": planning.audience.winner,
        "hashed_as": assign.campaign(planning.campaign),
        "app_holdout": assign.share(app_holdout.percent) if app_holdout and is_marketing else 0,
        "app_salt": app_holdout.salt if app_holdout else "",
        "app_held_out": APP_HOLDOUT,
        "holdout": assign.share(planning.holdout),
        "held_out": HELD_OUT,
        "tested": assign.share(planning.tested) if planning.tested is not None else None,
        "rest": planning.rest,
        "rest_names": [planning.rest for _ in rest],
        "names": names,
        "ends": list(assign.ends_of(steps)),
        "channels": [step.channel for step in sent],
        "templates": [step.template for step in sent],
        "named": [length_prefixed(planning.app, source, name, str(VISIT)) for name in (*names, *(planning.rest for _ in rest))],
        # On everybody's own clock it is told at the claim, when zones are known.
        "afters": [timedelta() if planning.by_zone else step.after for step in steps] + [timedelta() for _ in rest],
        "have_addresses": [step.channel not in WITHOUT_ADDRESS for step in sent],
        "message_class": planning.message_class,
        "topic": planning.topic,
        "by_zone": planning.by_zone,
        "chunk": planning.chunk,
    }
