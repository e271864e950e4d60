"""A provider is away for three hours: journeys wait it out and end right, and with a second account they do not wait."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from activities.breaker import Bounds
from channels.base import NotSent, Outgoing, Receipt
from settings import Settings
from storage import providers
from storage.database import Database
from storage.events import Address
from storage.providers import Traffic
from storage.sealing import Seal
from tests.activities.provider import Provider
from tests.workflows.stage import APP, Stage, stage
from tests.workflows.test_journey import ONBOARDING, eventually

PEOPLE = ("ann", "bob", "eve")
# The breaker's pauses pass in real time, and who waits for it comes back every ten minutes of the journey's.
PATIENT = Bounds(failures=3, first_pause_s=0.05, longest_pause_s=0.2, crowded_wait_s=600.0)


@dataclass
class AwayProvider(Provider):
    is_away: bool = True
    refused: int = 0

    async def send(self, outgoing: Outgoing) -> Receipt:
        if self.is_away:
            self.refused += 1
            raise NotSent("refused the connection")
        return await super().send(outgoing)


@pytest.fixture
async def patient(database: Database, temporal: str) -> AsyncIterator[Stage]:
    async with stage(database, temporal, bounds=PATIENT) as opened:
        yield opened


async def begin(scene: Stage) -> None:
    await scene.publish(ONBOARDING)
    await scene.publish_template("welcome", "guide", "coupon")
    for number, person in enumerate(PEOPLE):
        await scene.person(person, addresses=_addresses(number))
        await scene.track("signed_up", person)


def _addresses(number: int) -> tuple[Address, ...]:
    return (Address("email", f"p{number}@example.com"), Address("sms", f"+491511234567{number}"))


async def test_journeys_wait_out_three_hours_without_their_provider_and_finish_right(patient: Stage) -> None:
    mail = AwayProvider(["ok"], channel="email")
    patient.adapters["email"] = mail
    await begin(patient)
    handles = [await patient.workflow("onboarding", person) for person in PEOPLE]
    for handle in handles:
        await patient.pass_time(handle, timedelta(hours=3))
    assert await patient.sent() == []
    tries = await patient.execute("SELECT max(claim_epoch) AS most FROM messages")
    assert tries[0].most <= 3 + mail.refused
    mail.is_away = False
    for _ in range(4):
        # The breaker's pause is of real time, and half an hour of the journey's passes in less.
        await asyncio.sleep(PATIENT.longest_pause_s)
        for handle in handles:
            await patient.pass_time(handle, timedelta(minutes=30))
    await eventually(patient, ["welcome"] * len(PEOPLE))
    for handle in handles:
        await patient.pass_time(handle, timedelta(days=2))
        await patient.pass_time(handle, timedelta(days=8))
        assert await patient.finished(handle) == "completed"
    assert sorted(mail.taken) == ["p0@example.com", "p1@example.com", "p2@example.com"]
    assert [step for step in await patient.sent() if step == "coupon"] == ["coupon"] * len(PEOPLE)
    assert await patient.execute("SELECT 1 FROM messages WHERE state IN ('unknown', 'given_up')") == []


async def test_with_a_second_account_they_do_not_wait(patient: Stage) -> None:
    seal = Seal(Settings().plain_credential_keys)
    async with patient.database.transaction() as connection:
        for name, provider, place, settings, secrets in (
            ("first", "resend", 1, {"base_url": "http://127.0.0.1:1"}, {"api_key": "re_x"}),
            ("spare", "sandbox", 2, {}, {}),
        ):
            traffic = Traffic(place=place)
            await providers.put(
                connection, APP, seal, channel="email", name=name, provider=provider, traffic=traffic, settings=settings, secrets=secrets
            )
    await begin(patient)
    await eventually(patient, ["welcome"] * len(PEOPLE))
    rows = await patient.execute("SELECT account, claim_epoch FROM messages WHERE step = 'welcome'")
    assert [(row.account, row.claim_epoch) for row in rows] == [("spare", 1)] * len(PEOPLE)
    assert await patient.execute("SELECT 1 FROM messages WHERE state <> 'sent' AND step = 'welcome'") == []
