"""What the sends of journeys lack: a template, content for their channel, a way to unsubscribe. Pure, and light to import."""

from collections.abc import Iterable, Iterator, Mapping

from channels.templates import channels_of, shows_unsubscribe
from journeys.language.errors import Problem
from journeys.language.journey import Journey
from journeys.language.steps import Send
from journeys.language.walk import all_steps

Templates = Mapping[str, Mapping[str, str]]
"""Template name -> file name -> text."""


def missing_content(journeys: Iterable[Journey], templates: Templates) -> list[Problem]:
    """Find every send that could not be rendered, or must not be sent as it stands; pointers are journey/step."""
    return [
        Problem(f"{journey.name}/{step.id}", code, words)
        for journey in journeys
        for step in all_steps(journey.steps)
        if isinstance(step, Send)
        for code, words in _lacks(journey, step, templates)
    ]


def _lacks(journey: Journey, step: Send, templates: Templates) -> Iterator[tuple[str, str]]:
    channel, name = step.message.channel, step.message.template
    is_marketing = (step.message_class or journey.message_class) == "marketing"
    if name not in templates:
        yield "no_template", f"there is no template {name}: add journeys/templates/{name}/"
    elif channel not in channels_of(templates[name]):
        yield "no_content", f"template {name} has nothing for {channel}: add the file of that channel"
    elif channel == "email" and is_marketing and not shows_unsubscribe(templates[name]):
        yield "no_unsubscribe", f"marketing mail must show links.unsubscribe: add it to each body of template {name}"
