"""To whom of its segment a campaign goes with which version, as SQL over one row of `users`: as the plan of a run draws them."""

from dataclasses import replace

from sqlalchemy import Integer, and_, func, literal, select, true

from journeys.language import assign
from journeys.language.assign import AppHoldout
from journeys.language.campaigns import REST, Campaign
from storage.crowds import bucket
from storage.expressions import APP, Sql
from storage.segment_people import Asked
from storage.tables import users


def who_gets(segment: Asked, only: Sql, campaign: Campaign, version: str, holdout: AppHoldout | None) -> Asked:
    """Those of the campaign's segment of whom `only` holds and who get this version; `rest`: who wait for a winner.

    `holdout` is the app's.
    """
    return replace(segment, drawn=and_(only, _is_drawn(campaign, version, holdout), *_bound(segment, campaign)))


def among_the_first(segment: Asked, campaign: Campaign) -> Asked:
    """Those of the campaign's segment whom `most_people` leaves in it."""
    return replace(segment, drawn=and_(true(), *_bound(segment, campaign)))


def _bound(segment: Asked, campaign: Campaign) -> list[Sql]:
    return [] if campaign.most_people is None else [_is_among_the_first(segment, campaign.most_people)]


def _is_drawn(campaign: Campaign, version: str, holdout: AppHoldout | None) -> Sql:
    named = assign.campaign(campaign.name)
    parts: list[Sql] = []
    if holdout is not None and campaign.message_class == "marketing":
        parts.append(bucket(assign.HOLDOUT, holdout.salt) >= _share(holdout.percent))
    if campaign.holdout:
        parts.append(bucket(named, assign.HOLDOUT) >= _share(campaign.holdout))
    if campaign.winner is not None:
        tested = bucket(named, assign.TESTED)
        wanted = _share(campaign.winner.tested)
        parts.append(tested >= wanted if version == REST else tested < wanted)
    if version != REST and campaign.versions:
        place = [each.name for each in campaign.versions].index(version)
        ends = (0, *assign.ends_of(campaign.versions))
        parts.append(bucket(named, assign.VARIANT).between(ends[place], ends[place + 1] - 1))
    return and_(true(), *parts)


def _is_among_the_first(asked: Asked, most: int) -> Sql:
    people = select(users.c.id).where(users.c.app == APP, users.c.merged_into.is_(None), asked.clause)
    first = people.order_by(func.hashint8extended(users.c.id, 0), users.c.id).limit(most).correlate(None)
    return users.c.id.in_(first)


def _share(percent: float) -> Sql:
    return literal(assign.share(percent), Integer)
