"""What providers tell over HTTP: proved, kept once, applied in any order, and followed by what must follow."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx

from activities.coming_back import match_parked
from activities.rules import Go, Known, Skip, Target, Terms, ruling
from storage.database import Database
from storage.ids import address_hash
from storage.standing import Consent
from tests.api.callbacks import PHONE, PUBLIC, Callbacks
from tests.channels.callers import BY_NAME, CALLERS, EVERY, META, Caller, Happened, envelope
from tests.channels.test_machines import CHROME
from tests.channels.test_provider_words import APPLE, EXCHANGE, HOME, Hit, hits
from tests.channels.test_readers import forgeries

NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)

SENDGRID, SES, TWILIO = BY_NAME["email", "sendgrid"], BY_NAME["email", "ses"], BY_NAME["sms", "twilio"]


def told(kind: str, number: UUID | None, caller: Caller, *, id_: str | None = None, minutes: int = 0, ref: str = "") -> Happened:
    address = "ann@example.com" if caller.channel == "email" else PHONE
    return Happened(id_ or uuid4().hex, kind, number, address, NOON + timedelta(minutes=minutes), ref)


async def test_each_provider_is_heard_and_its_raw_event_kept_once(world: Callbacks) -> None:
    for caller in EVERY:
        await world.account(caller)
        number = await world.message("ann", caller.channel, caller.provider, state="unknown")
        for _ in range(3):
            assert {answer.status_code for answer in await world.tell(caller, told("delivered", number, caller, id_="one"))} == {200}
        row = await world.row(number)
        assert (row.state, row.delivered_at is not None) == ("sent", True)
        [kept] = await world.run("SELECT * FROM provider_events WHERE message_id = :id", id=number)
        assert (kept.kind, kept.provider, kept.account, bool(kept.raw)) == ("delivered", caller.provider, f"{caller.channel}/main", True)


async def test_a_word_that_nobody_knows_is_kept_and_is_no_error(world: Callbacks) -> None:
    for caller in EVERY:
        await world.account(caller)
        number = await world.message("ann", caller.channel, caller.provider)
        assert {answer.status_code for answer in await world.tell(caller, told("unknown", number, caller))} == {200}
    kept = await world.run("SELECT kind, word FROM provider_events")
    assert [(row.kind, "evitat" in row.word.lower()) for row in kept] == [("unknown", True)] * len(EVERY)


async def test_five_hundred_forged_calls_over_all_providers_are_refused_and_leave_nothing(
    world: Callbacks, manager: httpx.AsyncClient
) -> None:
    tried = 0
    for caller in EVERY:
        url = await world.account(caller)
        assert url.startswith(f"{PUBLIC}/v1/webhooks/{caller.provider}/")
        for sent in forgeries(caller):
            answer = await world.post(url, sent)
            assert (answer.status_code, caller.provider) == (401, caller.provider), sent
            tried += 1
    assert tried >= 500
    for table in ("provider_events", "events", "consents", "suppressions", "event_ids", "outbox"):
        assert await world.run(f"SELECT 1 FROM {table}") == []


SECRETS = ("webhook_secret", "webhook_signing_key", "secret", "webhook_signature_secret", "app_secret")


async def test_a_call_that_is_right_for_one_account_is_refused_at_another(world: Callbacks) -> None:
    for caller in EVERY:
        other: dict[str, Any] = {key: "whsec_" + "A" * 40 for key in SECRETS if key in caller.settings}
        if "topics" in caller.settings:
            other["topics"] = ["arn:aws:sns:eu-west-1:123456789012:another"]
        if "webhook_public_key" in caller.settings:
            other["webhook_public_key"] = "AAAA"
        url = await world.account(caller, **other)
        [sent] = caller.calls(url, [told("delivered", uuid4(), caller)])
        for wrong in (url, url[:-1] + ("0" if url[-1] != "0" else "1"), url + "0", url.replace(f"/{caller.provider}/", "/other/")):
            assert (await world.post(wrong, sent)).status_code == 401
    assert await world.run("SELECT 1 FROM provider_events") == []


async def test_an_account_shows_where_its_provider_calls_and_keeps_that_when_it_is_set_again(manager: httpx.AsyncClient) -> None:
    body = {"provider": "twilio", "settings": {**TWILIO.settings, "webhook_auth_token": "hush"}}
    first = (await manager.put("/v1/providers/sms/main", json=body)).json()
    again = (await manager.put("/v1/providers/sms/main", json=body)).json()
    [listed] = (await manager.get("/v1/providers")).json()["items"]
    assert first["webhook_url"].startswith(f"{PUBLIC}/v1/webhooks/twilio/")
    assert first["webhook_url"] == again["webhook_url"] == listed["webhook_url"]
    assert "hush" not in str(listed)
    other = (await manager.put("/v1/providers/sms/other", json=body)).json()
    assert other["webhook_url"] != first["webhook_url"]


# Order, repeats, and what comes early ------------------------------------------------------------------------------------------------

COLUMNS = ("accepted", "delivered", "bounced", "complained", "opened", "clicked", "unsubscribed")
_PROVES = {"delayed": "accepted", "refused": "accepted", "bounced softly": "bounced", "left a group": "unsubscribed"}
# What follows for the person comes seldom enough that some meet with nothing and some with all of it.
_CHANCES = {
    **dict.fromkeys(("accepted", "delivered", "opened", "clicked", "delayed", "refused", "unknown"), 14.0),
    "bounced": 0.4, "bounced softly": 2.0, "complained": 0.4, "unsubscribed": 0.5, "left a group": 0.5,
}  # fmt: skip
TELLING_ALL = replace(
    SENDGRID,
    words={**SENDGRID.words, "bounced softly": ("bounce", {"type": "blocked"}), "left a group": ("group_unsubscribe", {"asm_group_id": 7})},
)


def expected(happened: list[Happened]) -> dict[UUID, dict[str, datetime]]:
    """An independent model: of each message the earliest moment of each kind, whatever the order and the repeats."""
    moments: dict[UUID, dict[str, datetime]] = {}
    for each in happened:
        if each.message_id is not None and each.kind != "unknown":
            kind = _PROVES.get(each.kind, each.kind)
            known = moments.setdefault(each.message_id, {})
            known[kind] = min(known.get(kind, each.at), each.at)
    return moments


def suppressions_expected(happened: list[Happened], to: dict[UUID, str], blocked: str) -> dict[str, str]:
    """The same of addresses: who blocked one by hand counts most, then complaints, then a hard bounce, or soft ones of five messages."""
    reasons: dict[str, str] = {}
    for person in set(to.values()):
        theirs = [each for each in happened if each.message_id and to[each.message_id] == person]
        softly = {each.message_id for each in theirs if each.kind == "bounced softly"}
        kinds = {each.kind for each in theirs}
        if person == blocked:
            reasons[person] = "manual"
        elif "complained" in kinds:
            reasons[person] = "complaint"
        elif "bounced" in kinds or len(softly) >= 5:
            reasons[person] = "bounce"
    return reasons


def withdrawals_expected(happened: list[Happened], to: dict[UUID, str]) -> Counter[tuple[str, str]]:
    """And of consent: one entry in the record for each word of leaving, however often it came."""
    topics = {"unsubscribed": "*", "left a group": "*marketing"}
    return Counter((to[each.message_id], topics[each.kind]) for each in happened if each.message_id and each.kind in topics)


async def test_20000_events_doubled_shuffled_and_early_come_to_one_state_each(world: Callbacks, database: Database) -> None:
    """Half of the events name our id, half only the provider's, of which half is known to us only after they came."""
    chance = random.Random(20_000)
    await world.account(SENDGRID)
    people = [f"p{n}" for n in range(100)]
    for person in people:
        await world.endpoint(person, "email", f"{person}@example.com")
    await world.run(
        "INSERT INTO suppressions (app, channel, address_hash, reason, source) VALUES ('demo', 'email', :hash, 'manual', 'support')",
        hash=address_hash("demo", "email", "p0@example.com"),
    )
    to = await many_messages(world, 4_000, people)
    numbers = sorted(to)
    kinds = chance.choices(list(_CHANCES), list(_CHANCES.values()), k=5 * len(numbers))
    happened = [
        replace(told(kind, number, SENDGRID, minutes=chance.randrange(100)), ref=f"ref-{number}", address=f"{to[number]}@example.com")
        for number, kind in zip(numbers * 5, kinds, strict=True)
    ]
    assert len(happened) == 20_000
    model = expected(happened)
    by_ref = [replace(each, message_id=None) if chance.random() < 0.5 else each for each in happened]
    doubled = by_ref + by_ref
    chance.shuffle(doubled)
    half = set(numbers[::2])
    await refer(world, half)
    url = world.urls["email", "sendgrid"]
    batches = [doubled[n : n + 1000] for n in range(0, len(doubled), 1000)]
    for pair in zip(batches[::2], batches[1::2], strict=True):
        answers = await asyncio.gather(*(world.post(url, sent) for batch in pair for sent in TELLING_ALL.calls(url, batch)))
        assert {answer.status_code for answer in answers} == {200}
    early = (await world.run("SELECT count(*) AS n FROM provider_events WHERE parked_until IS NOT NULL"))[0].n
    assert early > 1_000
    await refer(world, set(numbers) - half)
    while await database.run(match_parked):
        continue
    rows = await world.run("SELECT * FROM messages")
    found = {row.id: {kind: getattr(row, f"{kind}_at") for kind in COLUMNS if getattr(row, f"{kind}_at") is not None} for row in rows}
    assert found == {number: model.get(number, {}) for number in numbers}
    # What is told shows that it went out; of whom nothing was told but words that we do not know stays as it was.
    assert {row.id: row.state for row in rows} == {number: "sent" if number in model else "unknown" for number in numbers}
    assert (await world.run("SELECT count(*) AS n FROM provider_events"))[0].n == 20_000
    streams = {row.name: row.n for row in await world.run("SELECT name, count(*) AS n FROM events GROUP BY name")}
    assert streams == {f"message_{kind}": sum(each.kind == kind for each in happened) for kind in ("opened", "clicked")}
    assert (await world.run("SELECT count(*) AS n FROM open_messages"))[0].n == len(numbers) - len(model)
    suppressed = await world.run(
        "SELECT u.user_id, s.reason FROM suppressions s JOIN endpoints e ON s.address_hash = ANY(suppression_hashes(e.address_hash))"
        " JOIN users u ON u.id = e.user_id"
    )
    reasons = suppressions_expected(happened, to, blocked="p0")
    assert {row.user_id: row.reason for row in suppressed} == reasons
    assert {"manual", "complaint", "bounce"} == set(reasons.values())
    assert len(suppressed) == len(reasons) < len(people)
    withdrawn = await world.run(
        "SELECT u.user_id, c.topic, count(*) AS n FROM consents c JOIN users u ON u.id = c.user_id"
        " WHERE c.state = 'withdrawn' AND c.channel = 'email' AND c.source = 'provider:sendgrid' GROUP BY 1, 2"
    )
    assert {(row.user_id, row.topic): row.n for row in withdrawn} == withdrawals_expected(happened, to)


async def many_messages(world: Callbacks, count: int, people: list[str]) -> dict[UUID, str]:
    """Unconfirmed messages, to each of them in turn; to whom each goes."""
    rows = await world.run(
        "WITH made AS (INSERT INTO messages (id, app, user_id, endpoint_id, source, step, visit, target, channel, message_class, state,"
        " reason, claim_epoch, provider) SELECT message_id(now(), 'demo', 's' || n, 'welcome', 1, '1'), 'demo', p.user_id, p.endpoint_id,"
        " 's' || n, 'welcome', 1, '1', 'email', 'marketing', 'unknown', 'unconfirmed', 1, 'sendgrid' FROM generate_series(1, :count) n"
        " JOIN unnest(CAST(:users AS bigint[]), CAST(:endpoints AS bigint[])) WITH ORDINALITY AS p (user_id, endpoint_id, place)"
        " ON p.place = 1 + n % cardinality(CAST(:users AS bigint[])) RETURNING id, user_id),"
        " listed AS (INSERT INTO open_messages (app, message_id, kind, due_at)"
        "  SELECT 'demo', id, 'unknown', now() + interval '1 day' FROM made) SELECT id, user_id FROM made",
        users=[world.people[person] for person in people],
        endpoints=[world.endpoints[person, "email"] for person in people],
        count=count,
    )
    named = {world.people[person]: person for person in people}
    return {row.id: named[row.user_id] for row in rows}


async def refer(world: Callbacks, numbers: set[UUID]) -> None:
    await world.run(
        "INSERT INTO provider_refs SELECT 'demo', 'sendgrid', 'ref-' || id, id FROM unnest(CAST(:ids AS uuid[])) AS r (id)",
        ids=sorted(numbers),
    )


async def test_an_event_of_nobodys_message_is_looked_for_during_a_day(world: Callbacks, database: Database) -> None:
    await world.account(SENDGRID)
    await world.tell(SENDGRID, told("bounced", None, SENDGRID, ref="abc"))
    [parked] = await world.run("SELECT parked_until - received_at AS waits FROM provider_events")
    assert timedelta(hours=23) < parked.waits <= timedelta(hours=24, minutes=1)
    number = await world.message("ann", "email", "sendgrid", ref="abc")
    assert await database.run(match_parked) == 1
    assert (await world.row(number)).bounced_at is not None
    [kept] = await world.run("SELECT parked_until, message_id, user_id FROM provider_events")
    assert (kept.parked_until, kept.message_id, kept.user_id) == (None, number, world.people["ann"])
    assert [row.reason for row in await world.run("SELECT reason FROM suppressions")] == ["bounce"]


async def test_after_a_day_it_is_looked_for_no_more(world: Callbacks, database: Database) -> None:
    await world.account(SENDGRID)
    await world.tell(SENDGRID, told("bounced", None, SENDGRID, ref="abc"))
    await world.run("UPDATE provider_events SET parked_until = now() - interval '1 s'")
    number = await world.message("ann", "email", "sendgrid", ref="abc")
    assert await database.run(match_parked) == 0
    assert (await world.row(number)).bounced_at is None
    assert [row.parked_until for row in await world.run("SELECT parked_until FROM provider_events")] == [None]


async def test_one_event_that_cannot_be_written_does_not_keep_its_neighbours_from_being_heard(world: Callbacks) -> None:
    await world.account(SENDGRID)
    good = [await world.message("ann", "email", "sendgrid") for _ in range(2)]
    await world.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.word = 'spamreport' AND NEW.failure IS NULL THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$"
    )
    await world.run("CREATE TRIGGER refuse BEFORE INSERT ON provider_events FOR EACH ROW EXECUTE FUNCTION refuse()")
    happened = [told("delivered", good[0], SENDGRID), told("complained", good[0], SENDGRID), told("delivered", good[1], SENDGRID)]
    assert [answer.status_code for answer in await world.tell(SENDGRID, *happened)] == [200]
    assert all([(await world.row(number)).delivered_at for number in good])
    kept = await world.run("SELECT word, failure IS NOT NULL AS failed FROM provider_events ORDER BY word")
    assert [(row.word, row.failed) for row in kept] == [("delivered", False), ("delivered", False), ("spamreport", True)]


# What follows ------------------------------------------------------------------------------------------------------------------------


async def test_a_hard_bounce_and_a_complaint_suppress_at_once(world: Callbacks, manager: httpx.AsyncClient) -> None:
    for caller in CALLERS:
        for kind, reason in (("bounced", "bounce"), ("complained", "complaint")):
            if kind in caller.words:
                await world.account(caller)
                number = await world.message("ann", caller.channel, caller.provider)
                await world.tell(caller, told(kind, number, caller))
                [suppressed] = (await manager.get("/v1/suppressions")).json()["items"]
                assert (suppressed["channel"], suppressed["reason"], suppressed["source"]) == (caller.channel, reason, caller.provider)
                await world.run("DELETE FROM suppressions")


async def test_what_programs_open_and_click_is_no_event_of_a_person_whoever_tells_it(world: Callbacks) -> None:
    for caller in CALLERS:
        if caller.channel == "email":
            await world.account(caller)
            await tell_hits(world, caller, await world.message("ann", "email", caller.provider), (CHROME, EXCHANGE))
            number = await world.message("ann", "email", caller.provider)
            await tell_hits(world, caller, number, (APPLE, HOME))
            row = await world.row(number)
            assert (row.opened_at, row.clicked_at, row.accepted_at is not None) == (None, None, True)
            assert (await world.events("message_opened"), await world.events("message_clicked")) == ([], [])
            await tell_hits(world, caller, number, (CHROME, HOME))
            for name in ("message_opened", "message_clicked"):
                assert [event["message_id"] for event in await world.events(name)] == [str(number)]
            await world.run("DELETE FROM events")


async def tell_hits(world: Callbacks, caller: Caller, number: UUID, by: Hit) -> None:
    for kind, said in zip(("opened", "clicked"), hits(caller, by), strict=True):
        await world.tell(replace(caller, words={kind: said}), told(kind, number, caller))


async def test_soft_bounces_suppress_by_the_policy_of_the_app(world: Callbacks) -> None:
    ses = replace(SES, words={**SES.words, "bounced": "Bounce"}, write=soft(SES))
    await world.account(ses)
    for turn in range(1, 6):
        number = await world.message("ann", "email", "ses")
        # Two events about one message count once.
        await world.tell(ses, told("bounced", number, ses))
        await world.tell(ses, told("bounced", number, ses))
        assert len(await world.run("SELECT 1 FROM suppressions")) == (turn == 5)


def soft(caller: Caller) -> Any:
    def write(_caller: Caller, happened: Happened) -> dict[str, str]:
        event = json.loads(caller.write(caller, happened)["Message"])
        event["bounce"]["bounceType"] = "Transient"
        return envelope(json.dumps(event), datetime.now(UTC), id_=happened.id)

    return write


async def test_the_app_may_be_stricter_about_soft_bounces(world: Callbacks) -> None:
    await world.run("""UPDATE apps SET settings = '{"soft_bounces": {"messages": 1, "days": 1}}'""")
    ses = replace(SES, write=soft(SES))
    await world.account(ses)
    await world.tell(ses, replace(told("bounced", await world.message("ann", "email", "ses"), ses), at=datetime.now(UTC)))
    assert len(await world.run("SELECT 1 FROM suppressions")) == 1


async def test_who_leaves_at_the_provider_has_left_here(world: Callbacks) -> None:
    """As much as the provider stops: only who left everything there gets no receipts any more."""
    leaving = [caller for caller in EVERY if "unsubscribed" in caller.words]
    for caller in leaving:
        await world.account(caller)
        number = await world.message("ann", caller.channel, caller.provider)
        await world.tell(caller, told("unsubscribed", number, caller))
        assert (await world.row(number)).unsubscribed_at is not None
    left = {(channel, provider): topic for channel, topic, _, provider in await world.consents("ann")}
    assert left == {
        ("email", "provider:sendgrid"): "*",
        ("email", "provider:postmark"): "*marketing",
        ("email", "provider:mailgun"): "*",
        ("sms", "provider:twilio"): "*",
        ("whatsapp", "provider:meta"): "*marketing",
    }
    assert {state for _, _, state, _ in await world.consents("ann")} == {"withdrawn"}


async def test_who_leaves_a_newsletter_at_the_provider_still_gets_receipts_and_codes(world: Callbacks) -> None:
    group = replace(SENDGRID, words={"unsubscribed": ("group_unsubscribe", {"asm_group_id": 7})})
    for caller in (group, META):
        await world.account(caller)
        await world.tell(caller, told("unsubscribed", await world.message("ann", caller.channel, caller.provider), caller))
        said = [
            Consent(channel, topic, state == "granted", order, "said")
            for order, (channel, topic, state, _) in enumerate([(caller.channel, "*", "granted", ""), *await world.consents("ann")])
        ]
        found = {
            message_class: ruling(Terms(caller.channel, message_class, "news", ZoneInfo("UTC")), Target("x"), Known(NOON, said))
            for message_class in ("marketing", "transactional")
        }
        assert found == {"marketing": Skip("unsubscribed"), "transactional": Go()}


async def test_what_left_before_the_reach_was_kept_closes_everything(world: Callbacks, database: Database) -> None:
    await world.account(SENDGRID)
    await world.tell(SENDGRID, told("unsubscribed", None, SENDGRID, ref="abc"))
    await world.run("UPDATE provider_events SET detail = detail - 'reach'")
    await world.message("ann", "email", "sendgrid", ref="abc")
    assert await database.run(match_parked) == 1
    assert await world.consents("ann") == [("email", "*", "withdrawn", "provider:sendgrid")]


async def test_who_comes_back_at_the_provider_is_written_to_again_and_has_consented_to_nothing(world: Callbacks) -> None:
    """Postmark names neither a message nor a reason when it takes an address off the list of a stream."""
    postmark = BY_NAME["email", "postmark"]
    await world.account(postmark)
    ours = address_hash("demo", "email", "ann@example.com")
    for reason, source, stream, left in (
        ("provider", "postmark", "broadcast", 1),
        ("provider", "postmark", "outbound", 0),
        ("bounce", "postmark", "outbound", 0),
        ("provider", "sendgrid", "outbound", 1),
        ("complaint", "postmark", "outbound", 1),
        ("manual", "ann", "outbound", 1),
    ):
        await world.run("DELETE FROM suppressions")
        await world.run(
            "INSERT INTO suppressions (app, channel, address_hash, reason, source, created_at)"
            " VALUES ('demo', 'email', :hash, :reason, :source, CAST(:at AS timestamptz) - interval '1 minute')",
            hash=ours,
            reason=reason,
            source=source,
            at=NOON,
        )
        word = ("SubscriptionChange", "", {"MessageID": None, "SuppressSending": False, "MessageStream": stream, "Origin": "Customer"})
        back = replace(postmark, words={"resubscribed": word})
        await world.tell(back, told("resubscribed", None, back))
        assert len(await world.run("SELECT 1 FROM suppressions")) == left, (reason, source, stream)
    await world.tell(postmark, told("unsubscribed", await world.message("ann", "email", "postmark"), postmark))
    await world.tell(back, told("resubscribed", None, back, minutes=5))
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn"]


async def test_what_is_told_of_a_message_of_another_app_changes_nothing_of_it(world: Callbacks, database: Database) -> None:
    await world.account(SENDGRID)
    number = await world.message("ann", "email", "sendgrid")
    await world.run("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
    await world.run("UPDATE messages SET app = 'other'")
    await world.tell(SENDGRID, told("bounced", number, SENDGRID, ref="r"))
    await world.run("INSERT INTO provider_refs VALUES ('other', 'sendgrid', 'r', :id)", id=number)
    await world.tell(SENDGRID, told("bounced", None, SENDGRID, ref="r"))
    assert await database.run(match_parked) == 0
    assert (await world.row(number)).bounced_at is None
    assert await world.run("SELECT 1 FROM suppressions") == []


async def test_meta_tries_the_address_with_its_verify_token(world: Callbacks, client: httpx.AsyncClient) -> None:
    url = (await world.account(META)).removeprefix(PUBLIC)
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": META.settings["verify_token"]}
    answer = await client.get(url, params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    for change in ({"hub.verify_token": "x"}, {"hub.mode": "y"}):
        refused = await client.get(url, params=asked | change)
        assert (refused.status_code, "1158201444" in refused.text) == (401, False)
