"""Campaigns: immutable versions, where each stands in its life, and what was done to it by whom. Their runs are in campaign_runs.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_from_json
from journeys.language.events import Events
from journeys.language.lifecycle import State
from journeys.language.timing import Strike
from storage.campaign_runs import Run
from storage.database import Connection


@dataclass(frozen=True)
class StoredCampaign:
    """A campaign as it stands. `version`, `hash` and `definition` are of what was published last; `launched` is what goes out."""

    app: str
    name: str
    version: int
    hash: str
    definition: str
    published_by: str
    published_at: datetime
    state: State
    launched_version: int | None
    launched: str | None
    launches: int
    next_at: datetime | None
    next_local_at: str | None
    submitted_version: int | None
    submitted_by: str | None
    approved_version: int | None
    approved_by: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def campaign(self) -> Campaign:
        return read(self.definition)

    @property
    def needed(self) -> Sequence[Campaign]:
        """Those of its versions whose segment and templates must stay: the newest and the launched one; none once it is over."""
        if self.state in {"stopped", "finished"}:
            return ()
        return [read(each) for each in (self.definition, self.launched) if each is not None]

    @property
    def strike(self) -> Strike | None:
        """When it begins next."""
        return None if self.next_at is None else Strike(self.next_at, self.next_local_at)


@dataclass(frozen=True)
class CampaignVersion:
    """One published version; `definition` is canonical JSON."""

    version: int
    hash: str
    definition: str
    published_by: str
    published_at: datetime


@dataclass(frozen=True)
class Done:
    """Something that was done to a campaign."""

    id: int
    act: str
    version: int | None
    run_id: UUID | None
    done_by: str
    at: datetime


@dataclass(frozen=True)
class OpenRuns:
    """So many runs of a campaign are in this state, and what their messages came to; `left` among them is still to be sent."""

    app: str
    campaign: str
    run_state: str
    runs: int
    messages: Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """Where a campaign stands after an act: its state, what goes out, when it begins next, and to which events it listens."""

    state: State
    launched_version: int | None
    launches: int
    strike: Strike | None = None
    listens_to: Sequence[str] = ()


@lru_cache(maxsize=2048)
def read(definition: str) -> Campaign:
    """A stored campaign."""
    return campaign_from_json(definition)


_COLUMNS = """
    c.app, c.name, c.live_version AS version, v.hash, v.definition, v.published_by, v.published_at, c.state, c.launched_version,
    l.definition AS launched, c.launches, c.next_at, c.next_local_at, c.submitted_version, c.submitted_by, c.approved_version,
    c.approved_by, c.created_at, c.updated_at
"""
_FROM = """
    FROM campaigns c JOIN campaign_versions v ON v.app = c.app AND v.campaign = c.name AND v.version = c.live_version
    LEFT JOIN campaign_versions l ON l.app = c.app AND l.campaign = c.name AND l.version = c.launched_version
"""
_PAGE = text(
    f"SELECT {_COLUMNS} {_FROM} WHERE c.app = :app AND (CAST(:after AS text) IS NULL OR c.name > :after) ORDER BY c.name LIMIT :most"
)
_ALL = text(f"SELECT {_COLUMNS} {_FROM} WHERE c.app = :app ORDER BY c.name")
_ONE = text(f"SELECT {_COLUMNS} {_FROM} WHERE c.app = :app AND c.name = :name")
_LOCKED = text(f"SELECT {_COLUMNS} {_FROM} WHERE c.app = :app AND c.name = :name FOR NO KEY UPDATE OF c")
_VERSIONS = text("""
    SELECT version, hash, definition, published_by, published_at FROM campaign_versions
    WHERE app = :app AND campaign = :name AND (CAST(:before AS integer) IS NULL OR version < :before) ORDER BY version DESC LIMIT :most
""")


async def page(connection: Connection, app: str, *, after: str | None = None, most: int = 50) -> list[StoredCampaign]:
    """Campaigns by name; `after` is the last name of the page before."""
    return [StoredCampaign(**row) for row in (await connection.execute(_PAGE, {"app": app, "after": after, "most": most})).mappings()]


async def all_of(connection: Connection, app: str) -> list[StoredCampaign]:
    """Every campaign of the app, by name."""
    return [StoredCampaign(**row) for row in (await connection.execute(_ALL, {"app": app})).mappings()]


async def get(connection: Connection, app: str, name: str, *, lock: bool = False) -> StoredCampaign | None:
    """One campaign as it stands, or None; with `lock` nobody else changes it in this transaction."""
    row = (await connection.execute(_LOCKED if lock else _ONE, {"app": app, "name": name})).mappings().first()
    return None if row is None else StoredCampaign(**row)


async def versions(connection: Connection, app: str, name: str, *, before: int | None = None, most: int = 50) -> list[CampaignVersion]:
    """Every version, the newest first; `before` is the last number of the page before."""
    rows = await connection.execute(_VERSIONS, {"app": app, "name": name, "before": before, "most": most})
    return [CampaignVersion(*row) for row in rows]


_MAKE = text("INSERT INTO campaigns (app, name, live_version) VALUES (:app, :name, 1) ON CONFLICT DO NOTHING")
_LOCK = text("SELECT state, live_version FROM campaigns WHERE app = :app AND name = :name FOR NO KEY UPDATE")
_KNOWN = text("SELECT version FROM campaign_versions WHERE app = :app AND campaign = :name AND hash = :hash")
_ADD = text("""
    INSERT INTO campaign_versions (app, campaign, version, hash, definition, published_by)
    SELECT :app, :name, coalesce(max(version), 0) + 1, :hash, :definition, :done_by
    FROM campaign_versions WHERE app = :app AND campaign = :name
    RETURNING version
""")
# What somebody has looked at is what is launched: another version is a draft again, and nothing is approved of it.
_GO_LIVE = text("""
    UPDATE campaigns SET live_version = :version, updated_at = now(),
        state = CASE WHEN state IN ('in_review', 'stopped', 'finished') AND live_version <> :version THEN 'draft' ELSE state END
    WHERE app = :app AND name = :name
""")


async def publish(connection: Connection, app: str, name: str, definition: str, content_hash: str, *, done_by: str) -> int:
    """Make this definition the newest version of a campaign and return its number. The same content gives the same number.

    What is launched stays as it was launched. Nothing is sent by publishing.
    """
    named = {"app": app, "name": name}
    await connection.execute(_MAKE, named)
    before = (await connection.execute(_LOCK, named)).one()
    version = (await connection.execute(_KNOWN, {**named, "hash": content_hash})).scalar()
    is_new = version is None
    if version is None:
        values = {**named, "hash": content_hash, "definition": definition, "done_by": done_by}
        version = (await connection.execute(_ADD, values)).scalar_one()
    await connection.execute(_GO_LIVE, {**named, "version": version})
    if is_new or version != before.live_version:
        await note(connection, app, name, "publish", version=version, done_by=done_by)
    return int(version)


_SUBMIT = text("""
    UPDATE campaigns SET state = :state, submitted_version = live_version, submitted_by = :done_by, approved_version = NULL,
        approved_by = NULL, updated_at = now()
    WHERE app = :app AND name = :name
""")
_APPROVE = text("""
    UPDATE campaigns SET approved_version = live_version, approved_by = :done_by, updated_at = now() WHERE app = :app AND name = :name
""")
_PUT = text("""
    UPDATE campaigns SET state = :state, launched_version = :launched_version, launches = :launches, next_at = :next_at,
        next_local_at = :next_local_at, listens_to = :listens_to, updated_at = now()
    WHERE app = :app AND name = :name
""")


async def submit(connection: Connection, app: str, name: str, state: State, *, done_by: str) -> None:
    """Ask for a review of the newest version; what was approved before counts no more."""
    await connection.execute(_SUBMIT, {"app": app, "name": name, "state": state, "done_by": done_by})


async def approve(connection: Connection, app: str, name: str, *, done_by: str) -> None:
    """Write down who has approved the newest version."""
    await connection.execute(_APPROVE, {"app": app, "name": name, "done_by": done_by})


async def put(connection: Connection, app: str, name: str, place: Place) -> None:
    """Write down where a campaign stands now. The caller holds its lock."""
    strike = {"next_at": place.strike and place.strike.at, "next_local_at": place.strike and place.strike.local_at}
    await connection.execute(_PUT, {"app": app, "name": name, **vars(place), **strike, "listens_to": list(place.listens_to)})


_NOTE = text("""
    INSERT INTO campaign_acts (app, campaign, act, version, run_id, done_by)
    VALUES (:app, :name, :act, :version, CAST(:run_id AS uuid), :done_by)
""")
_ACTS = text("""
    SELECT id, act, version, run_id, done_by, at FROM campaign_acts
    WHERE app = :app AND campaign = :name AND (CAST(:before AS bigint) IS NULL OR id < :before) ORDER BY id DESC LIMIT :most
""")


async def note(
    connection: Connection, app: str, name: str, act: str, *, done_by: str, version: int | None = None, run_id: UUID | None = None
) -> None:
    """Write down what was done, and by whom."""
    values = {"app": app, "name": name, "act": act, "version": version, "run_id": run_id, "done_by": done_by}
    await connection.execute(_NOTE, values)


async def acts(connection: Connection, app: str, name: str, *, before: int | None = None, most: int = 50) -> list[Done]:
    """What was done to a campaign, the last first."""
    rows = await connection.execute(_ACTS, {"app": app, "name": name, "before": before, "most": most})
    return [Done(*row) for row in rows]


_REMOVE = text("DELETE FROM campaigns WHERE app = :app AND name = :name")
_NOW = text("SELECT clock_timestamp()")
_DUE = text(
    "SELECT app, name FROM campaigns WHERE next_at <= clock_timestamp() AND state IN ('scheduled', 'running') ORDER BY next_at LIMIT :most"
)
# Running, not on events, and no run of it is open any more.
_OVER = text("""
    SELECT c.app, c.name FROM campaigns c
    WHERE c.state = 'running' AND c.listens_to = '{}' AND NOT EXISTS (
        SELECT FROM campaign_runs r WHERE r.app = c.app AND r.campaign = c.name AND r.state IN ('planning', 'running', 'paused'))
    ORDER BY c.updated_at LIMIT :most
""")
_RUNS = text("""
    SELECT app, id, campaign, version, definition, state, began_at, repeats, planned_at, ended_at, template_versions FROM campaign_runs
    WHERE app = :app AND campaign = :name
        AND (CAST(:began_at AS timestamptz) IS NULL OR (began_at, id) < (CAST(:began_at AS timestamptz), CAST(:id AS uuid)))
    ORDER BY began_at DESC, id DESC LIMIT :most
""")
_OPEN_RUNS = text("""
    SELECT id FROM campaign_runs WHERE app = :app AND campaign = :name AND state IN ('planning', 'running', 'paused') ORDER BY began_at, id
""")
_OPEN_SINCE = text(
    "SELECT began_at FROM campaign_runs WHERE app = :app AND campaign = :name AND state IN ('planning', 'running', 'paused')"
)
_OPEN_COUNTS = text("""
    WITH open_runs AS (
        SELECT app, id, campaign, state FROM campaign_runs WHERE state IN ('planning', 'running', 'paused')
    ), counted AS (
        SELECT r.app, r.campaign, r.state AS run_state, t.state, sum(t.messages)::bigint AS messages
        FROM open_runs r JOIN campaign_tallies t ON t.app = r.app AND t.run_id = r.id GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT r.app, r.campaign, r.state, 'left', sum(cardinality(c.message_ids))
        FROM open_runs r JOIN campaign_chunks c ON c.app = r.app AND c.run_id = r.id GROUP BY 1, 2, 3
    )
    SELECT r.app, r.campaign, r.state AS run_state, count(DISTINCT r.id) AS runs,
        coalesce(jsonb_object_agg(c.state, c.messages) FILTER (WHERE c.state IS NOT NULL), '{}') AS messages
    FROM open_runs r LEFT JOIN counted c ON (c.app, c.campaign, c.run_state) = (r.app, r.campaign, r.state)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
_REPEATED = text("SELECT EXISTS (SELECT FROM campaign_runs WHERE app = :app AND repeats = :run_id)")
# A run that was being planned when its campaign was paused could not be paused then.
_ASTRAY = text("""
    SELECT r.app, r.id, c.state FROM campaign_runs r JOIN campaigns c ON c.app = r.app AND c.name = r.campaign
    WHERE (c.state = 'paused' AND r.state = 'running') OR (c.state = 'stopped' AND r.state IN ('planning', 'running', 'paused'))
    ORDER BY r.app, r.id LIMIT :most
""")
_ON_EVENT = text(f"""
    SELECT {_COLUMNS} {_FROM} WHERE c.app = :app AND c.state = 'running' AND c.listens_to @> ARRAY[CAST(:event AS text)] ORDER BY c.name
""")
_TRIGGERS = text("""
    SELECT l.definition FROM campaigns c
    JOIN campaign_versions l ON l.app = c.app AND l.campaign = c.name AND l.version = c.launched_version
    WHERE c.app = :app AND c.state IN ('running', 'paused') AND c.listens_to <> '{}' ORDER BY c.name
""")


async def remove(connection: Connection, app: str, name: str) -> None:
    """Forget a campaign, its versions and what was done to it; its messages and runs stay."""
    await connection.execute(_REMOVE, {"app": app, "name": name})


async def now(connection: Connection) -> datetime:
    """What time it is for everybody who begins runs."""
    found: datetime = (await connection.execute(_NOW)).scalar_one()
    return found


async def due(connection: Connection, *, most: int) -> list[tuple[str, str]]:
    """(app, name) of campaigns whose next run should begin, in any app."""
    return [(row.app, row.name) for row in await connection.execute(_DUE, {"most": most})]


async def over(connection: Connection, *, most: int) -> list[tuple[str, str]]:
    """(app, name) of campaigns that say they are running and have no open run, in any app."""
    return [(row.app, row.name) for row in await connection.execute(_OVER, {"most": most})]


async def runs(connection: Connection, app: str, name: str, *, before: tuple[datetime, UUID] | None = None, most: int = 50) -> list[Run]:
    """Its runs, the newest first; `before` is (began_at, id) of the last one of the page before."""
    began_at, run_id = before or (None, None)
    rows = await connection.execute(_RUNS, {"app": app, "name": name, "began_at": began_at, "id": run_id, "most": most})
    return [Run(**row) for row in rows.mappings()]


async def open_runs(connection: Connection, app: str, name: str) -> list[UUID]:
    """The runs of a campaign that are not over, the earliest first."""
    return list((await connection.execute(_OPEN_RUNS, {"app": app, "name": name})).scalars())


async def open_since(connection: Connection, app: str, name: str) -> list[datetime]:
    """When the runs of a campaign began that are not over."""
    return list((await connection.execute(_OPEN_SINCE, {"app": app, "name": name})).scalars())


async def open_counts(connection: Connection) -> list[OpenRuns]:
    """The runs of all apps that are not over, by campaign and state."""
    return [OpenRuns(**row) for row in (await connection.execute(_OPEN_COUNTS)).mappings()]


async def is_repeated(connection: Connection, app: str, run_id: UUID) -> bool:
    """Whether some run sends, or has sent, what failed in this one."""
    return bool((await connection.execute(_REPEATED, {"app": app, "run_id": run_id})).scalar_one())


async def runs_astray(connection: Connection, *, most: int) -> list[tuple[str, UUID, Literal["paused", "stopped"]]]:
    """(app, run, state that it should have) of runs that go on though their campaign is paused or stopped, in any app."""
    return [(row.app, row.id, row.state) for row in await connection.execute(_ASTRAY, {"most": most})]


async def on_event(connection: Connection, app: str, event: str) -> list[StoredCampaign]:
    """The campaigns that an event of this name may send."""
    return [StoredCampaign(**row) for row in (await connection.execute(_ON_EVENT, {"app": app, "event": event})).mappings()]


async def triggers(connection: Connection, app: str) -> list[Events]:
    """What sends the campaigns that were launched on events and not stopped; a paused one goes on."""
    found = [read(definition).trigger for definition in (await connection.execute(_TRIGGERS, {"app": app})).scalars()]
    return [each for each in found if each is not None]
