"""Plays a journey for people as they are recorded, and counts what would have happened. Pure: runs in any process."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from activities.backtest.entries import entries
from activities.backtest.setting import Setting
from activities.backtest.tally import Tally, count_person
from activities.backtest.world import Passage, PastWorld, Person, StillInside
from journeys.language import assign
from journeys.language.durations import Always
from journeys.language.facts import EventFact
from journeys.language.journey import Journey
from journeys.language.keys import key_of
from journeys.language.play import Player
from storage.past import Past


def play_people(setting_text: str, people: Iterable[Past]) -> Tally:
    """Play for each of these people and count. `setting_text` is `setting.written(asked)`."""
    setting = _setting(setting_text)
    tally: Tally = {}
    for past in people:
        person = Person.of(past, setting.journey.name)
        count_person(tally, setting, person, list(play_person(setting, person)))
    return tally


@lru_cache(maxsize=8)
def _setting(text: str) -> Setting:
    return Setting.of(text)


def play_person(setting: Setting, person: Person) -> Iterator[Passage | str]:
    """Each entry in order: what became of it, or the reason for which it was refused."""
    last: dict[str, tuple[datetime, datetime | None]] = {each.key: (each.entered_at, each.ended_at) for each in person.past.enrollments}
    for event in entries(setting, person):
        key = key_of(setting.journey.key, event)
        reason = _refusal(setting.journey, last.get(key or ""), key, event) or _held_out(setting, person)
        if reason is not None or key is None:
            yield reason or "no_key"
            continue
        passage = _pass_through(setting, person, event)
        last[key] = (event.occurred_at, passage.ended_at)
        yield passage


def _refusal(journey: Journey, last: tuple[datetime, datetime | None] | None, key: str | None, event: EventFact) -> str | None:
    """The rules of workflows/entry.py, over passages that were played."""
    known_at = event.received_at or event.occurred_at
    if key is None:
        return "no_key"
    if known_at - event.occurred_at > journey.late_after.timedelta:
        return "too_late"
    if last is None:
        return None
    entered_at, ended_at = last
    return "already_in" if ended_at is None or ended_at > known_at else _too_soon(journey, event.occurred_at - entered_at)


def _held_out(setting: Setting, person: Person) -> str | None:
    holdout = setting.app_holdout
    return "app_holdout" if holdout and assign.in_app_holdout(holdout, setting.asked.app, person.past.subject) else None


def _too_soon(journey: Journey, since_last: timedelta) -> str | None:
    match journey.again_after:
        case None:
            return "not_again"
        case Always():
            return None
        case wait:
            return None if since_last >= wait.timedelta else "not_again_yet"


def _pass_through(setting: Setting, person: Person, event: EventFact) -> Passage:
    starts_at = event.received_at or event.occurred_at
    app, journey, subject = setting.asked.app, setting.journey, person.past.subject
    passage = Passage(event)
    if assign.in_holdout(journey, app, subject):
        passage.is_held_out, passage.ended, passage.ended_at = True, "holdout", starts_at
        return passage
    world = PastWorld(setting, person, passage, starts_at)
    player = Player(journey, world, app=app, subject=subject, entry=event, started_at=starts_at)
    world.begin(player)
    playing = player.play()
    try:
        playing.send(None)
    except StopIteration as done:
        passage.ended, passage.ended_at = str(done.value), world.now()
    except StillInside:
        passage.ended = None
    passage.arms = {record.step: record.outcome or "" for record in player.progress.records if record.step in setting.splits}
    return passage
