"""What templates require counts for the channel that is sent, as it does when a message is made."""

import pytest

from api.completeness import missing_around, missing_content
from journeys.language import Journey, Send, email, event, push, sms
from journeys.language.campaigns import Campaign, Version
from journeys.language.errors import Problem
from journeys.language.messages import Message

FILES = {
    "template.toml": 'required = ["entry.total", "captured.came.at"]\n[sample]\nentry.total = 1\ncaptured.came.at = "now"\n',
    "subject.txt": "You paid {{ entry.total }}",
    "body.txt": "{{ links.unsubscribe }}",
    "push.toml": 'title = "Thanks"\nbody = "You paid {{ entry.total | default(0) }}"\n',
    "sms.txt": "You came {{ captured.came.at }}",
}
IN_ONE_LANGUAGE = {"push.toml": 'title = "Thanks"\nbody = "Come again"\n', "push.de.toml": 'title = "Danke"\nbody = "{{ entry.total }}"\n'}


def of_campaign(*messages: Message, **files: str) -> list[tuple[str, str]]:
    versions = [Version(f"v{place}", 100 / len(messages), each) for place, each in enumerate(messages)]
    campaign = Campaign("sale", "golden", versions=versions) if len(messages) > 1 else Campaign("sale", "golden", messages[0])
    return told(missing_around([campaign], {"thanks": {**FILES, **files}}))


def of_journey(message: Message) -> list[tuple[str, str]]:
    return told(missing_content([Journey("one", starts_on=event("x"), steps=[Send("hello", message)])], {"thanks": FILES}))


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(each.pointer, each.code) for each in problems]


def test_a_campaign_is_refused_for_what_its_own_channel_requires() -> None:
    assert of_campaign(push("thanks")) == []
    assert of_campaign(email("thanks")) == [("sale/message", "not_in_a_campaign")]
    assert of_campaign(push("thanks"), sms("thanks")) == [("sale/v1", "not_in_a_campaign")]


def test_what_it_requires_in_one_language_alone_is_refused_too() -> None:
    assert of_campaign(push("thanks"), **IN_ONE_LANGUAGE) == [("sale/message", "not_in_a_campaign")]


@pytest.mark.parametrize(("message", "is_refused"), [(push("thanks"), False), (email("thanks"), False), (sms("thanks"), True)])
def test_a_journey_is_refused_for_what_the_channel_of_a_step_requires(message: Message, is_refused: bool) -> None:
    assert of_journey(message) == ([("one/hello", "captured_elsewhere")] if is_refused else [])


def test_a_template_that_cannot_be_read_requires_nothing() -> None:
    """What is wrong with it is told of the template itself."""
    assert of_campaign(sms("thanks"), **{"sms.txt": "{{ captured.came.at"}) == []
    assert of_campaign(sms("thanks"), **{"template.toml": "required = 1"}) == []
