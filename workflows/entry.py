"""What one event means for one person's journeys, decided under the lock of their row: which end, which begin, which are told."""

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from activities.app_settings import holdout_of
from journeys.language import assign
from journeys.language.durations import Always
from journeys.language.evaluate import matches
from journeys.language.facts import EventFact, Facts
from journeys.language.handing import handed_over, is_exit, since_when
from journeys.language.journey import Journey
from journeys.language.keys import key_of
from storage import apps, enrollments, ids, journeys, messages
from storage.database import Connection
from storage.enrollments import Enrollment
from storage.outbox import EntryRequest
from workflows.definitions import Definitions
from workflows.inputs import EnrollmentInput

# More than anybody has between entry and start, even after a day without workers; it only bounds memory.
MOST_SINCE_ENTRY = 100_000
LONGEST_ID = 200


@dataclass(frozen=True)
class Start:
    """An enrollment that is written as `starting` and whose workflow has to be started."""

    enrollment: Enrollment
    input: EnrollmentInput


@dataclass(frozen=True)
class Telling:
    """One enrollment that has to hear of an event, reduced to what its journey reads; `start` is set while its row is `starting`."""

    enrollment: Enrollment
    event: EventFact
    start: Start | None = None


@dataclass(frozen=True)
class Decided:
    """What has to be done at Temporal, in this order: ends, starts, tells. All of it is written already and safe to repeat."""

    ends: tuple[Telling, ...] = ()
    starts: tuple[Start, ...] = ()
    tells: tuple[Telling, ...] = ()


class Entry:
    """Decides entries and endings of one installation. `wait_scale` shortens waits in development."""

    def __init__(self, definitions: Definitions, *, wait_scale: float = 1.0, hash_user_ids: bool = False) -> None:
        self._definitions = definitions
        self._wait_scale = wait_scale
        self._hash_user_ids = hash_user_ids

    async def decide(self, connection: Connection, app: str, user_id: int, event: EventFact, *, only: UUID | None = None) -> Decided:
        """Write what this event ends and starts, and return what Temporal must hear. Repeating it gives the same answer.

        An event that ends an enrollment and may start one ends first, so the new one finds the place free. With `only`, it is news
        to that enrollment and starts nothing.
        """
        person, subject = await enrollments.lock_person(connection, app, user_id)
        ends: list[Telling] = []
        tells: list[Telling] = []
        for enrollment in await enrollments.listening(connection, app, person, event):
            if enrollment.entry.id == event.id or only not in (None, enrollment.id):
                continue
            journey = await self._definitions.of(connection, app, enrollment.journey, enrollment.version)
            if enrollment.state == "closed":
                ends.append(Telling(enrollment, journey.reduced(event)))
            elif is_exit(journey, enrollment.entry, event):
                await enrollments.close(connection, app, enrollment.id, f"exited: {event.name}", event.id)
                await messages.drop_planned(connection, app, str(enrollment.id), "exited")
                ends.append(Telling(enrollment, journey.reduced(event)))
            else:
                start = await self.start_of(connection, enrollment) if enrollment.state == "starting" else None
                tells.append(Telling(enrollment, journey.reduced(event), start))
        starts = []
        for stored in await journeys.entered_by(connection, app, event.name) if only is None else ():
            journey = self._definitions.parse(stored)
            if journey.starting_events is None or not matches(journey.starting_events, event, Facts()):
                continue
            start = await self._enter(connection, stored.version, journey, app, person, subject, event)
            if start is not None:
                starts.append(start)
        return Decided(tuple(ends), tuple(starts), tuple(tells))

    async def admit(self, connection: Connection, app: str, user_id: int, request: EntryRequest) -> Decided:
        """Write what a request to enter comes to, and return what Temporal must hear: decided as for an entry event, and as repeatable.

        Any journey may be asked for, whatever starts it otherwise; what its entry event must be like is not asked.
        """
        person, subject = await enrollments.lock_person(connection, app, user_id)
        event = EventFact(request.id, request.name, request.occurred_at, request.properties, received_at=request.received_at)
        stored = await journeys.open_to_entries(connection, app, request.journey)
        if isinstance(stored, str):
            if await enrollments.started_by(connection, app, request.journey, event.id) is None:
                await enrollments.refuse(connection, app, journey=request.journey, event_id=event.id, user_id=person, reason=stored)
            return Decided()
        start = await self._enter(connection, stored.version, self._definitions.parse(stored), app, person, subject, event)
        return Decided() if start is None else Decided(starts=(start,))

    async def start_of(self, connection: Connection, enrollment: Enrollment) -> Start:
        """How the workflow of a `starting` enrollment is started, with the events since entry that came before it."""
        journey = await self._definitions.of(connection, enrollment.app, enrollment.journey, enrollment.version)
        since, names = since_when(enrollment.entry), journey.signal_names
        came = await enrollments.events_since(connection, enrollment.app, enrollment.user_id, names, since, MOST_SINCE_ENTRY)
        return Start(
            enrollment,
            EnrollmentInput(
                app=enrollment.app,
                enrollment_id=str(enrollment.id),
                journey=journey,
                version=enrollment.version,
                subject=enrollment.subject,
                entry=enrollment.entry,
                started_at=enrollment.started_at,
                events=handed_over(journey, enrollment.entry, came),
                wait_scale=self._wait_scale,
            ),
        )

    async def _enter(
        self, connection: Connection, version: int, journey: Journey, app: str, person: int, subject: str, event: EventFact
    ) -> Start | None:
        earlier = await enrollments.started_by(connection, app, journey.name, event.id)
        if earlier is not None:
            return await self.start_of(connection, earlier) if earlier.state == "starting" else None
        key = key_of(journey.key, event)
        reason = await _refusal(connection, app, person, journey, key, event) or await _held_out(connection, app, subject, journey)
        if reason is not None or key is None:
            await enrollments.refuse(connection, app, journey=journey.name, event_id=event.id, user_id=person, reason=reason or "no_key")
            return None
        enrollment = await self._new(connection, version, journey, app, person, subject, key, event)
        await enrollments.insert(connection, enrollment)
        return None if enrollment.state == "closed" else await self.start_of(connection, enrollment)

    async def _new(
        self, connection: Connection, version: int, journey: Journey, app: str, person: int, subject: str, key: str, event: EventFact
    ) -> Enrollment:
        n, started_at = await enrollments.next_place(connection, app, journey.name, key, subject)
        is_held_out = assign.in_holdout(journey, app, subject)
        return Enrollment(
            app=app,
            id=ids.enrollment_id(started_at, app, journey.name, event.id),
            user_id=person,
            subject=subject,
            journey=journey.name,
            version=version,
            key=key,
            n=n,
            workflow_id=workflow_id(app, journey.name, self._shown(subject), key, n),
            entry=event,
            started_at=started_at,
            state="closed" if is_held_out else "starting",
            end_reason="holdout" if is_held_out else None,
            end_event_id=None,
        )

    def _shown(self, subject: str) -> str:
        return ids.length_hash(subject) if self._hash_user_ids else subject


async def _refusal(connection: Connection, app: str, person: int, journey: Journey, key: str | None, event: EventFact) -> str | None:
    """Why this event starts nothing, or None when it may."""
    if key is None:
        return "no_key"
    if event.received_at is not None and event.received_at - event.occurred_at > journey.late_after.timedelta:
        return "too_late"
    last = await enrollments.last(connection, app, person, journey.name, key)
    if last is not None and last.state != "closed":
        return "already_in"
    return None if last is None else _too_soon(journey, last, event)


async def _held_out(connection: Connection, app: str, subject: str, journey: Journey) -> str | None:
    """Asked last: only of who would enter."""
    if journey.message_class == "transactional":
        return None
    holdout = holdout_of(await apps.settings(connection, app))
    return "app_holdout" if holdout and assign.in_app_holdout(holdout, app, subject) else None


def _too_soon(journey: Journey, last: Enrollment, event: EventFact) -> str | None:
    match journey.again_after:
        case None:
            return "not_again"
        case Always():
            return None
        case wait:
            return None if event.occurred_at - last.entry.occurred_at >= wait.timedelta else "not_again_yet"


def workflow_id(app: str, journey: str, subject: str, key: str, n: int) -> str:
    """{app}/{journey}/{user}[/{key}]#{n}: readable, no two enrollments alike, at most 200 bytes (a long middle becomes its hash)."""
    parts = [quote(part, safe="") for part in (app, journey, subject, *([key] if key else []))]
    full = "/".join(parts) + f"#{n}"
    if len(full) <= LONGEST_ID:
        return full
    return f"{parts[0]}/{parts[1]}/~{ids.length_hash(subject, key)}#{n}"
