"""Endpoints and a template of Amazon Pinpoint come in, and a mail leaves: what it says is what Pinpoint said."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from activities.direct import DirectLane
from channels.pinpoint_templates import imported as template_of
from channels.render import Renderer
from channels.templates import problems
from storage import people, templates
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct
from tests.activities.imports.runs import imported
from tests.activities.town import Town

ANN = {
    "ChannelType": "EMAIL",
    "Address": "ann@example.com",
    "Attributes": {"Interests": ["music", "chess"], "Plan": ["gold"]},
    "Metrics": {"Miles": 12.5},
    "Demographic": {"Make": "Acme", "Platform": "ios"},
    "User": {"UserId": "ann", "UserAttributes": {"FirstName": ["Ann"], "Cities": ["Rome", "Oslo"]}},
}
BODY = """{{User.UserAttributes.FirstName}} {{User.UserAttributes.Cities}} {{User.UserAttributes.Cities.[1]}}{{User.UserAttributes.None}}
{{Attributes.Interests}}/{{Attributes.Interests.[1]}}/{{Attributes.Plan}} {{Metrics.Miles}} {{add Metrics.Miles 1}}
{{#each User.UserAttributes.Cities}}<{{this}}>{{/each}}{{#each User.UserAttributes.FirstName}}<{{this}}>{{/each}}.
{{#eq Attributes.Plan 'gold'}}yes{{/eq}} {{join Attributes.Interests '+'}} {{Demographic.Make}} {{Demographic.Platform}}"""
SAID = """Ann Rome Oslo
music/chess/gold 12.5 13.5
<Rome><Oslo><Ann>.
yes music+chess Acme ios"""


async def sent(database: Database, template: dict[str, Any]) -> Any:
    """The parts of the mail that Ann gets."""
    made = template_of(template)
    assert (made.left, problems("welcome", made.files)) == ([], [])
    town, renderer = Town(database), Renderer(children=1, wall_s=20)
    await town.run("UPDATE apps SET settings = :settings", settings={"from": "a@acme.example"})
    async with database.transaction("demo") as connection:
        await templates.publish(connection, "demo", "welcome", made.files, "h")
        ann = await people.internal_id(connection, "demo", "ann")
        await plan_direct(connection, DirectSend("demo", "r-1", "email", "transactional", {"template": "welcome"}, ann))
    await DirectLane(database, replace(town.delivery(), renderer=renderer), asyncio.Event()).pass_once()
    await renderer.close()
    assert town.provider.taken == ["ann@example.com"]
    return town.provider.seen[0].content.parts


@pytest.mark.parametrize("unwrap", [False, True])
async def test_a_mail_says_what_it_said_at_pinpoint(database: Database, unwrap: bool) -> None:
    await imported(database, orjson.dumps(ANN) + b"\n", unwrap=unwrap)
    template = {
        "TemplateName": "welcome",
        "TemplateType": "EMAIL",
        "Subject": "Hi {{User.UserAttributes.FirstName}}, {{Attributes.Level}}",
        "TextPart": BODY,
        "DefaultSubstitutions": '{"User.UserAttributes.FirstName": "friend", "Attributes.Level": "novice"}',
    }
    parts = await sent(database, template)
    assert (parts["subject"], parts["text"]) == ("Hi Ann, novice", SAID)
