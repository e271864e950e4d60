"""The pages of the language and its code say the same: no word is missing, none is unknown, and every example builds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

import journeys.language
from journeys import catalogue
from journeys.language import Journey, Send, WaitFor, days, email, event, rehearse
from journeys.language.check import problems
from journeys.language.conditions import ConditionNode, ExpressionNode
from journeys.language.durations import Duration
from journeys.language.entries import WayIn
from journeys.language.events import Events
from journeys.language.rehearsal import Person, Rehearsal
from journeys.language.steps import AnyStep, Moment

DOCS = Path(__file__).resolve().parents[2] / "docs"
JOURNEYS_MD = (DOCS / "journeys.md").read_text()
SAY_IT_MD = (DOCS / "how-to" / "say-it.md").read_text()
WORDS: dict[str, Any] = {name: getattr(journeys.language, name) for name in journeys.language.__all__}
EARLIER = (Send("hello", email("hello")), WaitFor("answer", event("answered"), within=days(1)))
PAGES = {"journeys.md": JOURNEYS_MD, "say-it.md": SAY_IT_MD}


@dataclass(frozen=True)
class Example:
    """One snippet of a page. `kind` says what it is: python (a whole module), steps, fields, or condition and moment from a table."""

    page: str
    kind: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.code.split())[:60]}"


def _blocks() -> Iterator[Example]:
    for page, text in PAGES.items():
        for kind, code in re.findall(r"```python ?(\w*)\n(.*?)```", text, re.DOTALL):
            yield Example(page, kind or "python", code)


def _rows(heading: str, kind: str) -> Iterator[Example]:
    section = SAY_IT_MD.split(f"## {heading}\n")[1].split("\n## ")[0]
    for code in re.findall(r"^\| [^|]+ \| `(.+)` \|$", section, re.MULTILINE):
        yield Example("say-it.md", kind, code.replace(r"\|", "|"))


BLOCKS = list(_blocks())
EXAMPLES = [*BLOCKS, *_rows("Who", "condition"), *_rows("When", "moment")]


def built(example: Example) -> Journey:
    """The journey that an example makes, alone or with the little that it needs around it. Raises Invalid where something is wrong."""
    if example.kind == "python":
        module: dict[str, Any] = {}
        exec(example.code, module)  # noqa: S102 - our own page
        journey: Journey = module["journey"]
        return journey
    known = {**WORDS, **_names_of_the_house(example)}
    if example.kind == "fields":
        given = eval(f"dict({example.code})", known)  # noqa: S307 - our own page
        return Journey("said", **{"starts_on": event("began"), "steps": list(EARLIER), **given})
    wrapped = {"steps": "[{}]", "condition": "[If('said', {})]", "moment": "[Wait('said', until={})]"}[example.kind]
    steps = eval(wrapped.format(example.code), known)  # noqa: S307 - our own page
    before = _earlier_steps_of_the_house(example) if example.page == "journeys.md" else EARLIER
    return Journey("said", starts_on=event("began"), steps=[*before, *steps])


def _quoted_from(example: Example) -> Path:
    """The file of the house that a snippet of journeys.md is quoted from: the last one linked before it."""
    before = JOURNEYS_MD.split(example.code)[0]
    linked: list[str] = re.findall(r"\(\.\./(journeys/\w+\.py)\)", before)
    return DOCS.parent / linked[-1]


def _names_of_the_house(example: Example) -> dict[str, Any]:
    if example.page != "journeys.md":
        return {}
    module: dict[str, Any] = {}
    exec(_quoted_from(example).read_text(), module)  # noqa: S102 - a file of the house
    return module


def _earlier_steps_of_the_house(example: Example) -> list[AnyStep]:
    """What a quoted step reads of an earlier one."""
    read = re.findall(r'captured\("(\w+)"', example.code)
    inside = re.findall(r'(?:WaitFor|Wait|Call)\(\s*"(\w+)"', example.code)
    return [WaitFor(step, event("anything"), within=days(1)) for step in sorted(set(read) - set(inside))]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_builds_into_a_journey_without_problems(example: Example) -> None:
    assert problems(built(example)) == []


def test_there_are_enough_ways_to_say_something() -> None:
    assert len([example for example in EXAMPLES if example.page == "say-it.md"]) > 75


@pytest.mark.parametrize("example", [each for each in BLOCKS if each.page == "journeys.md"], ids=str)
def test_what_is_quoted_of_a_journey_stands_in_its_file(example: Example) -> None:
    assert _squeezed(example.code) in _squeezed(_quoted_from(example).read_text())


def test_each_journey_of_the_house_is_taught_from() -> None:
    for journey in catalogue.JOURNEYS:
        assert f"(../journeys/{journey.name.replace('-', '_')}.py)" in JOURNEYS_MD


@pytest.mark.parametrize("name", WORDS)
def test_every_word_of_an_author_is_documented(name: str) -> None:
    assert re.search(rf"`[^`]*\b{name}\b[^`]*`", _reference()), f"docs/journeys.md does not mention {name}"


@pytest.mark.parametrize("field", [each.name for each in fields(Journey) if each.name not in ("kind", "steps")])
def test_every_field_of_a_journey_is_documented(field: str) -> None:
    assert re.search(rf"^\| .*`{field}`.* \| ", _reference(), re.MULTILINE)


@pytest.mark.parametrize("step", AnyStep.__args__, ids=lambda step: step.__name__)
def test_every_step_has_a_row_that_names_each_of_its_fields(step: type) -> None:
    rows = [line for line in _reference().splitlines() if line.startswith(f"| `{step.__name__}(")]
    unsaid = {
        "id",
        "kind",
        "message",
        "events",
        "duration",
        "condition",
        "attributes",
        "action",
        "steps",
        "journey",
        "properties",
        "reason",
    }
    named = {each.name for each in fields(step)} - unsaid
    assert rows
    assert [field for field in named if not re.search(rf"\b{field}\b", " ".join(rows))] == []


@pytest.mark.parametrize("kind", [ConditionNode, ExpressionNode], ids=["conditions", "expressions"])
def test_every_method_of_an_author_is_documented(kind: type) -> None:
    methods = [name for name in vars(kind) if not name.startswith("_")]
    assert [name for name in methods if f".{name}(" not in _reference()] == []


def test_every_way_in_and_every_moment_has_a_row() -> None:
    for union, head in ((WayIn, "### Ways in"), (Moment, "**Moments**")):
        section = _reference().split(head)[1].split("\n### ")[0]
        nodes = {each.__name__ for each in union.__args__[0].__args__} - {
            "Instant",
            "Day",
            "Shifted",
            "Timed",
            "Prop",
            "Device",
            "Location",
            "LastDid",
        }
        words = {"Events": "event", "SegmentEntry": "segment", "ScheduleEntry": "schedule", "DateEntry": "date", "BestTime": "best_time"}
        assert [name for name in nodes if f"`{words.get(name, name.lower())}(" not in section] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_word_on_the_page_is_unknown(page: str) -> None:
    methods = {name for kind in (ExpressionNode, Events, Rehearsal, Duration) for name in dir(kind)}
    unknown = {name for name in _called(PAGES[page]) if name not in WORDS and name not in methods and name not in ("Journey", "dict")}
    assert unknown == set()


def test_every_argument_of_rehearse_and_of_a_person_is_documented() -> None:
    section = JOURNEYS_MD.split("### Rehearsing")[1]
    wanted = {*rehearse.__annotations__, *(each.name for each in fields(Person))} - {"return", "journey", "user_id"}
    assert [name for name in wanted if not re.search(rf"\b{name}\b", section)] == []


def _reference() -> str:
    """The part of the page that lists everything."""
    return JOURNEYS_MD.split("## Everything")[1]


def _called(text: str) -> Iterator[str]:
    """Names of functions and methods that code on a page calls, in spans and in blocks."""
    spans = [code.replace(r"\|", "|") for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    for code in [*spans, *(example.code for example in BLOCKS if PAGES[example.page] == text)]:
        yield from re.findall(r"([A-Za-z_]\w*)\(", re.sub(r'"[^"]*"', '""', code))


def _squeezed(code: str) -> str:
    return re.sub(r"\s+", "", code).strip(",")
