"""What is done to a campaign and its runs: in the caller's transaction, under the campaign's lock, so state and runs change together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_of_run
from journeys.language.errors import Conflict, Invalid, NotFound, Problem
from journeys.language.lifecycle import Act, Ahead, after
from journeys.language.timing import Once, Recurring, Strike, first_strike, next_strike
from storage import apps, campaign_runs, campaigns, direct_sends, triggered_sends
from storage.campaign_runs import Run
from storage.campaigns import Place, StoredCampaign
from storage.database import Connection
from storage.ids import time_ordered_id

BY_ITSELF = "sojourn"
"""Who did what nobody asked for: a beginning whose time had come, an end."""
NEEDS_APPROVAL = "campaigns_need_approval"
_ROUND_THE_WORLD = timedelta(hours=28)
_MOST_ROUND_THE_WORLD = 3


@dataclass(frozen=True)
class Told:
    """Runs whose workflows must hear of it, once the transaction is committed: those that begin, and those that changed."""

    begun: Sequence[UUID] = ()
    changed: Sequence[UUID] = ()


async def locked(connection: Connection, app: str, name: str) -> StoredCampaign:
    """One campaign, which nobody else changes in this transaction. Raises NotFound."""
    stored = await campaigns.get(connection, app, name, lock=True)
    if stored is None:
        raise NotFound("no such campaign")
    return stored


async def submit(connection: Connection, stored: StoredCampaign, *, done_by: str) -> None:
    """Ask for a review of the newest version. Raises Conflict, as all of these do where the state does not allow it."""
    state = after("submit", stored.state, _NOTHING)
    await campaigns.submit(connection, stored.app, stored.name, state, done_by=done_by)
    await _note(connection, stored, "submit", done_by)


async def send_back(connection: Connection, stored: StoredCampaign, *, done_by: str) -> None:
    """It is a draft again."""
    await campaigns.put(connection, stored.app, stored.name, replace(_place(stored), state=after("send_back", stored.state, _NOTHING)))
    await _note(connection, stored, "send_back", done_by)


async def approve(connection: Connection, stored: StoredCampaign, *, done_by: str) -> None:
    """The newest version may be launched. Raises Conflict also where the one who asked for the review approves."""
    after("approve", stored.state, _NOTHING)
    if done_by == stored.submitted_by:
        raise Conflict("who asked for the review does not approve: let it be done with another key")
    await campaigns.approve(connection, stored.app, stored.name, done_by=done_by)
    await _note(connection, stored, "approve", done_by)


async def launch(connection: Connection, stored: StoredCampaign, *, done_by: str, again: bool = False) -> Told:
    """Let the newest version go out: now, when its time comes, or whenever its event does.

    Raises Conflict also where it lacks an approval, or where this version went out already and `again` does not say that this is meant;
    Invalid where its time is past.
    """
    campaign, now = stored.campaign, await campaigns.now(connection)
    goes_on = campaign.when is None or campaign.trigger is not None
    strike = first_strike(campaign.when, now) if isinstance(campaign.when, (Once, Recurring)) else None
    state = after("launch", stored.state, Ahead(goes_on=goes_on, begins_later=strike is not None))
    await _must_be_approved(connection, stored)
    if stored.launched_version == stored.version and not again:
        raise Conflict("this version was launched before, and launching it writes to the same people again: say so with `again`")
    if isinstance(campaign.when, (Once, Recurring)) and strike is None:
        raise Invalid([Problem("/when", "time_is_past", "its time is past: publish it with a time that is still to come")])
    listens_to = campaign.trigger.names if campaign.trigger else ()
    place = Place(state, stored.version, stored.launches + 1, strike, listens_to)
    await campaigns.put(connection, stored.app, stored.name, place)
    await _note(connection, stored, "launch", done_by)
    launched = replace(stored, launches=place.launches, launched_version=stored.version, launched=stored.definition)
    return Told(begun=[await _begin_run(connection, launched, now, None)]) if campaign.when is None else Told()


async def begin_due(connection: Connection, app: str, name: str) -> Told:
    """Begin the run whose time has come, however late; none begins while another goes on, unless that one is on its way round the world.

    Of a recurring one, times that come while a run goes on, or while nobody looks, are left out.
    """
    stored, now = await locked(connection, app, name), await campaigns.now(connection)
    if stored.launched is None or stored.next_at is None or stored.next_at > now or stored.state not in {"scheduled", "running"}:
        return Told()
    launched = campaigns.read(stored.launched)
    place = replace(_place(stored), strike=_following(launched, now))
    if _are_in_the_way(await campaigns.open_since(connection, app, name), launched, now):
        if isinstance(launched.when, Recurring):
            await campaigns.put(connection, app, name, place)
            await _note(connection, stored, "left_out", BY_ITSELF, version=stored.launched_version)
        return Told()
    state = after("begin", "scheduled", Ahead(goes_on=True, begins_later=place.strike is not None))
    await campaigns.put(connection, app, name, replace(place, state=state))
    return Told(begun=[await _begin_run(connection, stored, now, stored.next_local_at)])


async def end(connection: Connection, app: str, name: str) -> None:
    """Its last run is over: it waits for the next one, or is finished."""
    stored = await locked(connection, app, name)
    if stored.state == "running" and not await _goes_on(connection, stored):
        state = after("end", stored.state, Ahead(goes_on=False, begins_later=stored.next_at is not None))
        await campaigns.put(connection, app, name, replace(_place(stored), state=state))
        if state == "finished":
            await _note(connection, stored, "end", BY_ITSELF, version=stored.launched_version)


async def pause(connection: Connection, stored: StoredCampaign, *, done_by: str) -> Told:
    """Nothing of it is claimed, begins, or is sent by events any more, until it is resumed."""
    state = after("pause", stored.state, _NOTHING)
    await campaigns.put(connection, stored.app, stored.name, replace(_place(stored), state=state))
    await _note(connection, stored, "pause", done_by, version=stored.launched_version)
    return await _change_runs(connection, stored, "paused")


async def resume(connection: Connection, stored: StoredCampaign, *, done_by: str) -> Told:
    """It goes on where it was. A recurring one begins at its next time: those that passed meanwhile are left out."""
    place, now = _place(stored), await campaigns.now(connection)
    launched = campaigns.read(stored.launched or stored.definition)
    if isinstance(launched.when, Recurring) and stored.next_at is not None and stored.next_at < now:
        place = replace(place, strike=_following(launched, now))
    state = after("resume", stored.state, Ahead(goes_on=await _goes_on(connection, stored), begins_later=place.strike is not None))
    await campaigns.put(connection, stored.app, stored.name, replace(place, state=state))
    await _note(connection, stored, "resume", done_by, version=stored.launched_version)
    return await _change_runs(connection, stored, "running")


async def stop(connection: Connection, stored: StoredCampaign, *, done_by: str) -> Told:
    """For good: what was not claimed is not sent, that of events too, and no run begins any more."""
    state = after("stop", stored.state, _NOTHING)
    place = replace(_place(stored), state=state, strike=None, listens_to=())
    await campaigns.put(connection, stored.app, stored.name, place)
    await _note(connection, stored, "stop", done_by, version=stored.launched_version)
    waiting = await triggered_sends.left(connection, stored.app, stored.name, stored.launches)
    await direct_sends.drop(connection, stored.app, waiting, reason="stopped")
    return await _change_runs(connection, stored, "stopped")


async def resend(connection: Connection, stored: StoredCampaign, failed: Run, *, done_by: str) -> Told:
    """Begin a run that sends what failed in an earlier one. Raises Conflict also while that one goes on, or was sent again already."""
    if failed.ended_at is None:
        raise Conflict("this run goes on: wait for its end, or stop the campaign")
    if await campaigns.is_repeated(connection, stored.app, failed.id):
        raise Conflict("what failed in this run was sent again already: send again what failed in that run")
    now = await campaigns.now(connection)
    state = after("resend", stored.state, Ahead(goes_on=True, begins_later=stored.next_at is not None))
    await campaigns.put(connection, stored.app, stored.name, replace(_place(stored), state=state))
    run_id = time_ordered_id(now, stored.app, "campaign", stored.name, "again", str(failed.id))
    await campaign_runs.begin(
        connection,
        stored.app,
        run_id,
        campaign=failed.campaign,
        version=failed.version,
        definition=failed.definition,
        repeats=failed.id,
    )
    await _note(connection, stored, "resend", done_by, version=failed.version, run_id=run_id)
    return Told(begun=[run_id])


async def _begin_run(connection: Connection, stored: StoredCampaign, now: datetime, local_at: str | None) -> UUID:
    assert stored.launched is not None
    assert stored.launched_version is not None
    run_id = time_ordered_id(now, stored.app, "campaign", stored.name, str(stored.launches), now.isoformat())
    await campaign_runs.begin(
        connection,
        stored.app,
        run_id,
        campaign=stored.name,
        version=stored.launched_version,
        definition=campaign_of_run(stored.launched, local_at),
    )
    await _note(connection, stored, "begin", BY_ITSELF, version=stored.launched_version, run_id=run_id)
    return run_id


async def _change_runs(connection: Connection, stored: StoredCampaign, state: campaign_runs.State) -> Told:
    runs = await campaigns.open_runs(connection, stored.app, stored.name)
    return Told(changed=[run_id for run_id in runs if await campaign_runs.change(connection, stored.app, run_id, state)])


async def _must_be_approved(connection: Connection, stored: StoredCampaign) -> None:
    is_needed = bool((await apps.settings(connection, stored.app)).get(NEEDS_APPROVAL))
    if (is_needed or stored.state == "in_review") and stored.approved_version != stored.version:
        raise Conflict("nobody has approved this version: ask for a review, and let it be approved with another key")


async def _goes_on(connection: Connection, stored: StoredCampaign) -> bool:
    launched = campaigns.read(stored.launched or stored.definition)
    return launched.trigger is not None or bool(await campaigns.open_runs(connection, stored.app, stored.name))


def _are_in_the_way(open_since: Sequence[datetime], launched: Campaign, now: datetime) -> bool:
    """A time on everybody's own clock takes longer than a day to come to all of them: the next day's must not wait for it."""
    if not (isinstance(launched.when, Recurring) and launched.when.local):
        return bool(open_since)
    return len(open_since) >= _MOST_ROUND_THE_WORLD or any(now - each > _ROUND_THE_WORLD for each in open_since)


def _following(campaign: Campaign, now: datetime) -> Strike | None:
    return next_strike(campaign.when, now) if isinstance(campaign.when, Recurring) else None


def _place(stored: StoredCampaign) -> Place:
    launched = campaigns.read(stored.launched) if stored.launched else None
    is_listening = stored.state in {"running", "paused"} and launched is not None and launched.trigger is not None
    listens_to = launched.trigger.names if is_listening and launched and launched.trigger else ()
    return Place(stored.state, stored.launched_version, stored.launches, stored.strike, listens_to)


async def _note(
    connection: Connection,
    stored: StoredCampaign,
    act: Act | str,
    done_by: str,
    *,
    version: int | None = None,
    run_id: UUID | None = None,
) -> None:
    number = stored.version if version is None else version
    await campaigns.note(connection, stored.app, stored.name, act, version=number, run_id=run_id, done_by=done_by)


_NOTHING = Ahead(goes_on=False, begins_later=False)
