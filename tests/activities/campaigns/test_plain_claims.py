"""Whom SQL claims without asking the rules, the rules would have let go: over random towns, message by message."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.campaigns import claiming
from activities.campaigns.order import RunOrder
from storage import campaign_sends
from storage.campaign_sends import Plain
from tests.activities.campaigns.blast import Blast

CAPS = '{"caps": [{"kind": "cap", "at_most": 1, "per": "day"}, {"kind": "cap", "at_most": 2, "per": "week", "topic": "news"}]}'
HOURS = '{{"send_windows": [{{"kind": "send_window", "start": "{:%H:%M}", "end": "{:%H:%M}", "then": "skip"}}]}}'
ZONES = (None, "Pacific/Kiritimati", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Pago_Pago")


async def stir(blast: Blast, chance: random.Random) -> None:
    """Let each person have said, got or lost something, or nothing at all."""
    people = await blast.town.run("SELECT id, user_id FROM users WHERE user_id LIKE 'p%' ORDER BY id")
    for person in people:
        blast.town.user_id = person.id
        address = f"{person.user_id}@example.com"
        match chance.choice(["nothing"] * 4 + ["channel", "topic", "yes", "suppressed", "inactive", "zone", "sms", "other"]):
            case "channel":
                await blast.town.say("withdrawn", channel=chance.choice(["email", "*"]))
            case "topic":
                await blast.town.say("withdrawn", topic=chance.choice(["general", "news", "*marketing"]))
            case "yes":
                await blast.town.say("withdrawn", topic="general")
                await blast.town.say("granted", topic="general")
            case "suppressed":
                await blast.town.suppress(address)
            case "inactive":
                await blast.town.run("UPDATE endpoints SET state = 'inactive' WHERE address = :address", address=address)
            case "zone":
                await blast.town.run("UPDATE users SET timezone = :zone WHERE id = :id", zone=chance.choice(ZONES), id=person.id)
            case "sms":
                await blast.town.say("withdrawn", channel="sms")
            case "other":
                await blast.town.endpoint("sms", f"+4915{chance.randrange(10**8):08}")


@pytest.mark.parametrize("seed", range(6))
async def test_the_rules_alone_give_the_same_ends(blast: Blast, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    now, by = datetime.now(UTC), timedelta(hours=6)
    hours = HOURS.format(now - by, now + by)
    await blast.town.run("UPDATE apps SET settings = CAST(:caps AS text)::jsonb || CAST(:hours AS text)::jsonb", caps=CAPS, hours=hours)
    await blast.add_people(60)
    await stir(blast, chance)
    plain = noted(monkeypatch)
    before = await blast.launch(most_people=20, topic="news")
    await blast.send(before)
    asked, ruled = await blast.launch(), await blast.launch()
    age = timedelta(hours=chance.choice([0, 20, 60]))
    await blast.town.run("UPDATE messages SET claimed_at = claimed_at - CAST(:by AS interval) WHERE claimed_at IS NOT NULL", by=age)
    await judged(blast, asked, monkeypatch, by_rules=False)
    assert len(plain) > 5, "SQL claimed some"
    found = await ends_by(blast, asked.run_id)
    plain.clear()
    # The second run as if the first had never been: only the rules are asked.
    await blast.town.run("UPDATE messages SET state = 'rejected' WHERE source = :source", source=f"campaign:{asked.run_id}")
    await judged(blast, ruled, monkeypatch, by_rules=True)
    assert found == await ends_by(blast, ruled.run_id)
    assert plain == []
    assert len(set(found.values())) > 3, "the town is no dull one"


def noted(monkeypatch: pytest.MonkeyPatch) -> list[Plain]:
    """What SQL claims from now on."""
    found: list[Plain] = []
    claim = campaign_sends.claim_plain

    async def claim_and_note(*given: Any, **named: Any) -> list[Plain]:
        claimed = await claim(*given, **named)
        found.extend(claimed)
        return claimed

    monkeypatch.setattr(campaign_sends, "claim_plain", claim_and_note)
    return found


async def judged(blast: Blast, order: RunOrder, monkeypatch: pytest.MonkeyPatch, *, by_rules: bool) -> None:
    with monkeypatch.context() as patch:
        if by_rules:
            # Then nobody is plain.
            patch.setattr(claiming, "NEEDS_CONSENT", {"email"})
        await blast.send(order)


async def ends_by(blast: Blast, run_id: str) -> dict[int, tuple[str, str | None]]:
    rows = await blast.town.run("SELECT user_id, state, reason FROM messages WHERE source = :source", source=f"campaign:{run_id}")
    return {row.user_id: (row.state, row.reason) for row in rows if row.state != "planned"}
