"""What is asked and said about delivery from the command line: accounts, unconfirmed messages, replies in doubt, topics, suppressions."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from storage import people, suppressions, unclear_replies
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct
from storage.ids import address_hash
from tests.cli.conftest import Command

PARTS = {"subject": "Hi", "text": "Ho"}
RESEND = ("email", "resend", "--set", "api_key=re_hush")
VONAGE = ("sms", "vonage", "--set", "api_key=key", "--set", "api_secret=hush")


async def left_without_an_answer(database: Database, number: int) -> UUID:
    async with database.transaction() as connection:
        send = DirectSend("demo", f"r-{number}", "email", "transactional", {"parts": PARTS}, None, f"p{number}@example.com")
        [message_id] = (await plan_direct(connection, send)).ids
        lost = "state = 'unknown', reason = 'unconfirmed', answer = 'no answer: ReadTimeout', settled_at = TIMESTAMPTZ '2026-11-26 09:30Z'"
        await connection.execute(text(f"UPDATE messages SET {lost}, claimed_at = planned_at WHERE id = :id"), {"id": message_id})
        await connection.execute(text("UPDATE open_messages SET kind = 'unknown' WHERE message_id = :id"), {"id": message_id})
    return message_id


def write(name: str, content: str) -> None:
    """A file in the folder where commands run."""
    Path(name).write_text(content)


def id_in(listed: str) -> str:
    """Of the one suppression that is listed."""
    return listed.splitlines()[1].split()[1]


async def writes_in_doubt(database: Database, user: str, words: str) -> None:
    async with database.transaction("demo") as connection:
        person = await people.internal_id(connection, "demo", user)
        assert person is not None
        assert await unclear_replies.hold(connection, "demo", person, "sms", words)


@pytest.mark.usefixtures("served")
async def test_unconfirmed_messages_are_listed_until_somebody_says_what_became_of_them(sojourn: Command, database: Database) -> None:
    assert await sojourn("unconfirmed", "list") == "None: of every message it is known whether it went out."
    went, did_not = [str(await left_without_an_answer(database, number)) for number in range(2)]
    listed = await sojourn("unconfirmed", "list")
    assert went in listed
    assert "2026-11-26 09:30  no answer: ReadTimeout" in listed
    assert "say which: --went-out or --did-not" in await sojourn("unconfirmed", "resolve", went, code=1)
    assert await sojourn("unconfirmed", "resolve", went, "--went-out") == "Resolved: the message is sent."
    assert await sojourn("unconfirmed", "resolve", did_not, "--did-not") == "Resolved: the message is given up."
    assert "the message is not unconfirmed" in await sojourn("unconfirmed", "resolve", went, "--did-not", code=1)
    assert "there is no message x in this app" in await sojourn("unconfirmed", "resolve", "x", "--went-out", code=1)
    assert await sojourn("unconfirmed", "list") == "None: of every message it is known whether it went out."


@pytest.mark.usefixtures("served")
async def test_replies_in_doubt_are_listed_and_decided(sojourn: Command, database: Database) -> None:
    assert await sojourn("replies", "list") == "None: no text waits for a person to say what it meant."
    await sojourn("users", "set", "ann", "{}")
    await writes_in_doubt(database, "ann", "please no [more]?")
    listed = await sojourn("replies", "list")
    assert "please no [more]?" in listed
    number = listed.splitlines()[1].split()[0]
    assert "say which: --stays or --leaves" in await sojourn("replies", "decide", number, "--stays", "--leaves", code=1)
    assert await sojourn("replies", "decide", number, "--leaves") == "Decided: ann leaves, on sms."
    assert "decided otherwise" in await sojourn("replies", "decide", number, "--stays", code=1)
    assert "no reply in doubt with number 99" in await sojourn("replies", "decide", "99", "--stays", code=1)
    assert "None" in await sojourn("replies", "list")
    assert "leaves, by key " in await sojourn("replies", "list", "--all")


@pytest.mark.usefixtures("served")
async def test_an_account_is_set_shown_and_forgotten_and_its_secret_is_never_shown(sojourn: Command) -> None:
    assert "No accounts" in await sojourn("providers", "list")
    assert await sojourn("providers", "webhooks") == "None: no account is set whose provider calls us."
    rates = ("--per-second", "5", "--burst", "2", "--max-per-day", "100")
    assert "Set: email leaves through resend (main)" in await sojourn(
        "providers", "set", *RESEND, "--country", "DE", "--only", "marketing", *rates
    )
    shown = await sojourn("providers", "list")
    assert "DE, marketing, 5 a second, 2 at once, 100 a day" in shown
    assert "api_key=(set)" in shown
    assert "hush" not in shown
    assert "/v1/webhooks/resend/" in await sojourn("providers", "webhooks")
    assert await sojourn("providers", "remove", "email") == "Forgotten: email account main."
    assert "there is no email account main in this app: `sojourn providers list`" in await sojourn("providers", "remove", "email", code=1)


@pytest.mark.usefixtures("served")
async def test_a_secret_comes_from_a_file_and_settings_from_toml(sojourn: Command) -> None:
    write("key.txt", "re_from_a_file\n")
    assert "Set: email" in await sojourn("providers", "set", "email", "resend", "--set", "api_key=@key.txt")
    write("mailgun.toml", 'api_key = "k"\ndomain = "mg.example.com"\n')
    assert "Set: email" in await sojourn(
        "providers", "set", "email", "mailgun", "--name", "second", "--place", "2", "--file", "mailgun.toml"
    )
    assert "domain=mg.example.com, api_key=(set)" in await sojourn("providers", "list")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("email", "resend"), "api_key: is needed: give it with --set api_key=..."),
        (("email", "pigeon"), "email has no provider pigeon: `sojourn providers kinds` lists them"),
        (("email", "resend", "--set", "api_key"), "--set: write it as name=value or name=@file"),
        (("email", "resend", "--set", "api_key=@nothing"), "--set: the file for api_key cannot be read: FileNotFoundError"),
        (("email", "resend", "--file", "nothing"), "--file: cannot be read as TOML"),
        ((*RESEND, "--set", "colour=red"), "colour: "),
        ((*RESEND, "--country", "Germany"), "/countries/0: "),
        ((*RESEND, "--country", "UK"), "/countries/0: not a country of ISO 3166"),
        (("email", "resend", "--set", "api_key="), "api_key: is needed: give it with --set api_key=..."),
        (VONAGE, "senders: is needed: give it as [senders] in --file"),
        ((*VONAGE, "--file", "nobody.toml"), "senders/default: name at least one number or name that messages are from"),
        ((*VONAGE, "--file", "nobody.toml"), "senders/countries/0: not a country of ISO 3166"),
    ],
)
@pytest.mark.usefixtures("served")
async def test_what_an_account_lacks_is_said_by_the_option_that_gives_it(sojourn: Command, words: tuple[str, ...], told: str) -> None:
    write("nobody.toml", '[senders]\ndefault = []\ncountries = ["de"]\n')
    assert told in await sojourn("providers", "set", *words, code=1)


@pytest.mark.usefixtures("served")
async def test_a_class_that_there_is_not_is_told_with_those_that_there_are(sojourn: Command) -> None:
    told = await sojourn("providers", "set", *RESEND, "--only", "news", code=2)
    assert "marketing" in told
    assert "transactional" in told


@pytest.mark.usefixtures("served")
async def test_an_account_is_verified_and_sending_nothing_is_said(sojourn: Command) -> None:
    await sojourn("providers", "set", "sms", "sandbox")
    assert await sojourn("providers", "verify", "sms") == "sms main: ok: nothing leaves: messages are kept"
    assert "there is no voice account main" in await sojourn("providers", "verify", "voice", code=1)
    away = ("--set", "api_key=k", "--set", "domain=mg.example.com", "--set", "base_url=http://127.0.0.1:9")
    await sojourn("providers", "set", "email", "mailgun", *away)
    assert "email main: " in await sojourn("providers", "verify", "email", code=1)


@pytest.mark.usefixtures("served")
async def test_topics_are_set_from_a_file_and_listed_in_its_order(sojourn: Command) -> None:
    assert "general" in await sojourn("topics", "list")
    file = '[[topics]]\nname = "news"\ntitle = "News"\ndouble_opt_in = ["email"]\n[[topics]]\nname = "general"\ntitle = "All else"\n'
    write("topics.toml", file)
    assert await sojourn("topics", "set", "topics.toml") == "Set: news, general."
    assert (await sojourn("topics", "list")).index("news") < (await sojourn("topics", "list")).index("general")
    write("topics.toml", "[[topics]")
    assert "cannot be read as TOML" in await sojourn("topics", "set", "topics.toml", code=1)


@pytest.mark.usefixtures("served")
async def test_topics_of_the_whole_page_are_read_back(sojourn: Command) -> None:
    write(
        "topics.toml",
        '[[topics]]\nname = "news"\ntitle = "News"\nchannels = ["email", "sms"]\nneeds_consent = true\ndouble_opt_in = ["email"]\n'
        '[[topics]]\nname = "account"\ntitle = "Your account"\nis_required = true\n',
    )
    assert await sojourn("topics", "set", "topics.toml") == "Set: news, account, general."
    rows = [" ".join(line.split()) for line in (await sojourn("topics", "list")).splitlines()]
    assert "news News email, sms yes email" in rows
    assert "account Your account email cannot be left -" in rows
    write("topics.toml", '[[topics]]\nname = "News!"\n')
    told = await sojourn("topics", "set", "topics.toml", code=1)
    assert "/topics/0/name" in told
    assert "/topics/0/title" in told
    assert "cannot be read as TOML" in await sojourn("topics", "set", "nothing.toml", code=1)


@pytest.mark.usefixtures("served")
async def test_an_address_is_suppressed_listed_without_it_and_let_go(sojourn: Command) -> None:
    assert await sojourn("suppressions", "list") == "None: no address is suppressed."
    assert "Suppressed: email " in await sojourn("suppressions", "add", "email", "Ann@example.com", "--source", "support")
    listed = await sojourn("suppressions", "list", "--channel", "email")
    assert "manual" in listed
    assert "support" in listed
    assert "example.com" not in listed
    assert "None" in await sojourn("suppressions", "list", "--channel", "sms")
    id_ = id_in(listed)
    assert "/address" in await sojourn("suppressions", "add", "sms", "12", code=1)
    assert await sojourn("suppressions", "remove", "email", id_) == f"Removed: email {id_} may be written to again."
    assert "there is no email suppression" in await sojourn("suppressions", "remove", "email", id_, code=1)


@pytest.mark.usefixtures("served")
async def test_whoever_lets_an_address_go_learns_that_its_provider_has_it_on_a_list(sojourn: Command, database: Database) -> None:
    async with database.transaction() as connection:
        digest = address_hash("demo", "sms", "+4915112345678")
        await suppressions.suppress(connection, "demo", "sms", digest, reason="provider", source="twilio")
    listed = await sojourn("suppressions", "list")
    assert "START" in listed
    removed = await sojourn("suppressions", "remove", "sms", id_in(listed))
    assert removed.startswith("Removed here. The provider still takes nothing for it: ")
    assert "START" in removed


@pytest.mark.usefixtures("served")
async def test_suppressions_are_moved_to_the_newest_key_and_those_that_cannot_be_are_counted(sojourn: Command, database: Database) -> None:
    async with database.transaction() as connection:
        row = "INSERT INTO suppressions (app, channel, address_hash, key_id, reason) VALUES ('demo', 'email', :hash, :key, 'bounce')"
        for address, key in (("ann@example.com", None), ("nobody@example.com", "lost")):
            await connection.execute(text(row), {"hash": address_hash("demo", "email", address), "key": key})
    told = await sojourn("suppressions", "rekey")
    assert "Under the newest key now: 1 more." in told
    assert "1 stand under an older key" in told
    assert "Under the newest key now: 0 more." in await sojourn("suppressions", "rekey")
