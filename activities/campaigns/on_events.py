"""Campaigns that events send: one message to whoever did it, at once, if they are in the segment."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from activities.app_settings import holdout_of
from journeys.language import assign
from journeys.language.campaigns import ONLY, Campaign
from journeys.language.check_campaigns import USUAL_LASTS
from journeys.language.conditions import InSegment
from journeys.language.evaluate import matches
from journeys.language.facts import EventFact, Facts
from storage import apps, campaigns, conditions, direct_sends, enrollments, triggered_sends
from storage.database import Connection
from storage.direct_sends import DirectSend
from storage.ids import length_hash

LATE_AFTER = timedelta(hours=24)
"""As for journeys: an event that came later than that is not answered any more."""


async def hear(connection: Connection, app: str, user_id: int, event: EventFact) -> None:
    """Plan the message of every running campaign that this event sends. The same event again finds it planned."""
    if event.received_at is not None and event.received_at - event.occurred_at > LATE_AFTER:
        return
    listening = [each for each in await campaigns.on_event(connection, app, event.name) if each.launched is not None]
    if not listening:
        return
    person, subject = await enrollments.lock_person(connection, app, user_id)
    for stored in listening:
        campaign = campaigns.read(stored.launched or "")
        version = await _version_for(connection, app, campaign, person, subject, event)
        if version is not None:
            # The id of an event may say who somebody is; the id of a message must not.
            request = f"campaign/{stored.name}/{stored.launches}/{length_hash(event.id)}"
            send = _send(app, request, campaign, version, person, event.properties)
            planned = await direct_sends.plan_direct(connection, send)
            if planned.is_new:
                await triggered_sends.note(connection, app, stored.name, stored.launches, version, planned.ids)


async def _version_for(connection: Connection, app: str, campaign: Campaign, person: int, subject: str, event: EventFact) -> str | None:
    """Which version somebody gets; None: it is not this event, they are not in the segment, or are held out."""
    if campaign.trigger is None or not matches(campaign.trigger, event, Facts()):
        return None
    if await _is_held_out(connection, app, campaign, subject):
        return None
    at = await campaigns.now(connection)
    if not await conditions.holds(connection, app, InSegment(campaign.segment), user_id=person, at=at):
        return None
    if not campaign.versions:
        return ONLY
    return campaign.versions[assign.variant_place(campaign.versions, app, campaign.name, subject)].name


async def _is_held_out(connection: Connection, app: str, campaign: Campaign, subject: str) -> bool:
    holdout = holdout_of(await apps.settings(connection, app)) if campaign.message_class == "marketing" else None
    is_out_of_all = holdout is not None and assign.in_app_holdout(holdout, app, subject)
    return is_out_of_all or assign.in_campaign_holdout(campaign.holdout, app, campaign.name, subject)


def _send(app: str, request: str, campaign: Campaign, version: str, person: int, properties: Mapping[str, Any]) -> DirectSend:
    message = campaign.messages[version]
    return DirectSend(
        app=app,
        request=request,
        channel=message.channel,
        message_class=campaign.message_class,
        content={"template": message.template, "data": dict(properties), "campaign": campaign.name, "version": version},
        user_id=person,
        topic=campaign.topic,
        # Of the usual time nothing is said here: the lane gives up by then, and until then a transactional message may be repeated.
        holds_for=campaign.lasts.timedelta if campaign.lasts.seconds < USUAL_LASTS.seconds else None,
    )
