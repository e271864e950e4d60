"""What journeys and campaigns lack around them: templates for their channels, functions, other journeys. Pure, and light to import."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from channels.push.checks import sources_of, unsayable
from channels.template_parts import BadFile, function_of
from channels.templates import channels_of, required_of, settings, shows_unsubscribe
from journeys.language.campaigns import Campaign
from journeys.language.conditions import Entry
from journeys.language.errors import Problem
from journeys.language.journey import Journey
from journeys.language.messages import Message
from journeys.language.payloads import pairs
from journeys.language.steps import Call, Enter, Function, Send
from journeys.language.walk import all_steps, nodes_in

Templates = Mapping[str, Mapping[str, str]]
"""Template name -> file name -> text."""
_Lacks = Iterator[tuple[str, str]]
"""Code and words."""


def missing_content(journeys: Iterable[Journey], templates: Templates, *, push_providers: Collection[str] = ()) -> list[Problem]:
    """Find every send that could not be rendered, or must not be sent as it stands; pointers are journey/step.

    `push_providers` are those through which the app's pushes leave, where that is known.
    """
    return [
        Problem(f"{journey.name}/{step.id}", code, words)
        for journey in journeys
        for step in all_steps(journey.steps)
        if isinstance(step, Send)
        for code, words in (*_content(journey, step, templates), *_unsayable(step.message, templates, push_providers))
    ]


def missing_around(campaigns: Iterable[Campaign], templates: Templates, *, push_providers: Collection[str] = ()) -> list[Problem]:
    """The same of campaigns; pointers are campaign/version, and campaign/message where there is one message only."""
    return [
        Problem(f"{campaign.name}/{version}", code, words)
        for campaign in campaigns
        for version, message in campaign.messages.items()
        for code, words in (
            *_of_message(message, templates, is_marketing=campaign.message_class == "marketing"),
            *_unsayable(message, templates, push_providers),
            *_of_no_journey(campaign, message, templates),
        )
    ]


def missing_functions(
    journeys: Iterable[Journey], functions: Collection[str], templates: Templates, campaigns: Iterable[Campaign] = ()
) -> list[Problem]:
    """Find every Call of a function that is not among these, and every custom message whose template names another."""
    return [
        Problem(pointer, "no_function", _no_function(name, functions))
        for pointer, name in (*_functions_of(journeys, templates), *_functions_of_campaigns(campaigns, templates))
        if name not in functions
    ]


def unannounced(
    journeys: Iterable[Journey], announced: Collection[str] | None, templates: Templates, campaigns: Iterable[Campaign] = ()
) -> list[Problem]:
    """Find every Call and custom message of a function that no live worker has; `announced` None: no worker lives."""
    if announced is None:
        remedy = "no worker is running to say which functions there are: start one (sojourn worker), and apply again"
    else:
        there_are = f" (they have {', '.join(sorted(announced))})" if announced else ""
        remedy = f"no live worker has it{there_are}: deploy workers with it first, and apply again within seconds"
    return [
        Problem(pointer, "function_not_announced", f"{name}: {remedy}")
        for pointer, name in (*_functions_of(journeys, templates), *_functions_of_campaigns(campaigns, templates))
        if name not in (announced or ())
    ]


def _functions_of_campaigns(campaigns: Iterable[Campaign], templates: Templates) -> Iterator[tuple[str, str]]:
    for campaign in campaigns:
        for version, message in campaign.messages.items():
            name = function_of(templates.get(message.template, {})) if message.channel == "custom" else None
            if name is not None:
                yield f"{campaign.name}/{version}", name


def _functions_of(journeys: Iterable[Journey], templates: Templates) -> Iterator[tuple[str, str]]:
    """Pointer and name of every registered function that these journeys come to."""
    for journey in journeys:
        for step in all_steps(journey.steps):
            if isinstance(step, Call) and isinstance(step.action, Function):
                yield f"{journey.name}/{step.id}", step.action.name
            elif isinstance(step, Send) and step.message.channel == "custom":
                name = function_of(templates.get(step.message.template, {}))
                if name is not None:
                    yield f"{journey.name}/{step.id}", name


def missing_journeys(journeys: Sequence[Journey]) -> list[Problem]:
    """Find every Enter that would let nobody in: of a journey that is not there, or without the property that keys it."""
    known = {journey.name: journey for journey in journeys}
    return [
        Problem(f"{journey.name}/{step.id}", code, words) for journey, step in _enters(journeys) for code, words in _entered(step, known)
    ]


def doubtful_entries(journeys: Sequence[Journey]) -> list[Problem]:
    """Find every Enter that is allowed and rarely meant."""
    known = {journey.name: journey for journey in journeys}
    return [
        Problem(f"{journey.name}/{step.id}", code, words)
        for journey, step in _enters(journeys)
        for code, words in _doubts(journey, step, known.get(step.journey))
    ]


def _content(journey: Journey, step: Send, templates: Templates) -> _Lacks:
    is_marketing = (step.message_class or journey.message_class) == "marketing"
    yield from _of_message(step.message, templates, is_marketing=is_marketing)
    yield from _captured_elsewhere(journey, step.message, templates)


def _of_message(message: Message, templates: Templates, *, is_marketing: bool) -> _Lacks:
    channel, name = message.channel, message.template
    if name not in templates:
        yield "no_template", f"there is no template {name}: add journeys/templates/{name}/, or mend the name"
        return
    if channel not in channels_of(templates[name]):
        yield "no_content", f"template {name} has nothing for {channel}: add journeys/templates/{name}/{_FILE_OF[channel]}"
    elif channel == "email" and is_marketing and not shows_unsubscribe(templates[name]):
        yield "no_unsubscribe", f"marketing mail must show links.unsubscribe: add it to each body of template {name}"


def _of_no_journey(campaign: Campaign, message: Message, templates: Templates) -> _Lacks:
    """A variable that is required and never there would skip everybody."""
    roots = ("captured",) if campaign.trigger is not None else ("captured", "entry")
    for path in _required(message, templates, roots):
        yield (
            "not_in_a_campaign",
            f"template {message.template} requires {path}, and a campaign has none: require what is the user's, or give a default",
        )


def _unsayable(message: Message, templates: Templates, push_providers: Collection[str]) -> _Lacks:
    """What a provider of the push cannot say, so that every such message would be rejected."""
    if message.channel != "push":
        return
    fields = sources_of(templates.get(message.template, {}))
    for provider in sorted({message.provider} if message.provider else push_providers):
        for words in unsayable(provider, fields):
            yield "cannot_say", f"template {message.template}: {words}"


def _captured_elsewhere(journey: Journey, message: Message, templates: Templates) -> _Lacks:
    """A variable that is required and never there would skip every send of this step."""
    ids, name = {step.id for step in all_steps(journey.steps)}, message.template
    for path in _required(message, templates, ("captured",)):
        if _top(path.partition(".")[2]) not in ids:
            yield "captured_elsewhere", f"template {name} requires {path}, and this journey has no such step: mend the name in the template"


def _required(message: Message, templates: Templates, roots: Collection[str]) -> Sequence[str]:
    """Of these roots, what the template requires for the channel of this message; another channel of it may require more."""
    files = templates.get(message.template, {})
    try:
        named = [path for path in settings(files).required if path.partition(".")[0] in roots]
    except BadFile:
        return ()
    return [path for path in required_of(files, message.channel) if path in named] if named else ()


def _no_function(name: str, functions: Collection[str]) -> str:
    there_are = f"; there are {', '.join(sorted(functions))}" if functions else ""
    return f"there is no function {name}: write functions/{name}.py and its line in functions/catalogue.py, or mend the name{there_are}"


def _enters(journeys: Iterable[Journey]) -> Iterator[tuple[Journey, Enter]]:
    for journey in journeys:
        for step in all_steps(journey.steps):
            if isinstance(step, Enter):
                yield journey, step


def _entered(step: Enter, known: Mapping[str, Journey]) -> _Lacks:
    entered = known.get(step.journey)
    if entered is None:
        yield "no_journey_to_enter", f"there is no journey {step.journey} in this house: write it, or mend the name"
    elif entered.key is not None and _top(entered.key.path) not in _given(step):
        yield (
            "enters_without_key",
            f"{step.journey} is keyed by {entered.key.path} and starts nothing without it: give it in this Enter",
        )


def _doubts(journey: Journey, step: Enter, entered: Journey | None) -> _Lacks:
    if entered is None:
        return
    if entered is journey:
        yield "enters_itself", "this journey enters itself, and is refused while it is open: use a Repeat, or let it end first"
    read = {_top(node.path) for each in entered.steps for node in nodes_in(each) if isinstance(node, Entry)}
    for name in sorted(read - _given(step) - ({_top(entered.key.path)} if entered.key is not None else set())):
        yield (
            "enters_without_property",
            f"{step.journey} reads entry({name!r}), and this Enter does not give it: give it, or be sure that it may lack",
        )


def _given(step: Enter) -> set[str]:
    return {name for name, _ in pairs(step.properties)}


def _top(path: str) -> str:
    return path.partition(".")[0]


_FILE_OF = {
    "email": "subject.txt and body.txt",
    "sms": "sms.txt",
    "push": "push.toml",
    "voice": "voice.txt",
    "in_app": "in_app.toml",
    "whatsapp": "whatsapp.toml or whatsapp.txt",
    "webhook": "webhook.toml",
    "custom": "custom.toml",
}
