"""Every reason code that the code can produce has words, and stands on its page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.reasons_page import PAGE, page
from journeys.language.moving import REASONS as MOVES
from journeys.language.reasons import NOT_SENT, NOT_YET, REASONS

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for room in ("activities", "workflows", "storage", "journeys/language", "channels", "api")
    for path in (ROOT / room).rglob("*.py")
    if "migrations" not in path.parts
)
# Calls whose word is a reason, the keywords that carry one, and functions that return one.
CALLS = {"Skip", "Defer", "RenderFailed", "Ended", "close", "_close", "drop_planned", "abandon", "Held", "planned_again"}
KEYWORDS = {"reason", "reasons", "end_reason", "waits_for"}
RETURNS = {"_refusal", "_too_soon", "_no_way_there", "_not_wanted", "refusal", "_failure", "_why"}
IN_SQL = re.compile(r"\b(?:end_)?reason = '([a-z_]+)'")
CODE = re.compile(r"[a-z][a-z0-9_]+(?::.*)?")
# Made from a status of Temporal's by lowering its name.
LOWERED = {"terminated", "canceled", "failed", "timed_out", "completed"}
# Words of a person's own, and of jobs and keys, which are no codes of a message or an enrollment.
NOT_CODES = {"sent", "done", "none", "all"}


def test_the_page_says_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_reason_in_the_source_has_words(path: Path) -> None:
    found = {code.partition(":")[0] for code in _codes(ast.parse(path.read_text()))}
    assert found - set(REASONS) - set(MOVES) - NOT_CODES == set()


def test_the_page_on_delivery_explains_every_reason_of_a_message_once() -> None:
    section = (ROOT / "docs" / "explanation" / "delivery.md").read_text().partition("## Reasons")[2]
    told = [code for row in re.findall(r"(?m)^\| (`[^|]+`) \|", section) for code in re.findall(r"`([a-z_]+)`", row)]
    assert sorted(told) == sorted({*NOT_SENT, *NOT_YET})


def test_the_scan_finds_reasons() -> None:
    found = {code for path in SOURCES for code in _codes(ast.parse(path.read_text()))}
    assert {"no_endpoint", "capped", "quiet_hours", "not_again", "paused", "merged", "gave_up", "template_error", "slow_provider"} <= found


def test_every_reason_on_the_page_is_one_that_the_code_can_give() -> None:
    """The other way round: words of a code that nothing gives any more would only mislead."""
    others = [path for path in (*SOURCES, *(ROOT / "workflows").rglob("*.py")) if path.name != "reasons.py"]
    texts = {part for path in others for node in ast.walk(ast.parse(path.read_text())) for part in _texts(node)}
    said = {match for text in texts for match in re.findall(r"(?<![a-z_])[a-z][a-z0-9_]+(?![a-z_])", text)}
    assert set(REASONS) - said - LOWERED == set()


def test_what_the_ledger_is_told_in_these_places_is_scanned() -> None:
    """The rules, a claim, a try's end, the lane and a template: each of them must be seen by the scan, or it looks at nothing."""
    places = {
        "activities/rules.py": {"no_endpoint", "suppressed", "unsubscribed", "no_consent", "not_allowed_here", "capped", "never_permitted"},
        "journeys/language/permitted.py": {"quiet_hours", "outside_window"},
        "activities/claiming.py": {"gave_up", "exited", "no_template", "paused", "provider_away"},
        "activities/sending.py": {"rejected", "unconfirmed", "not_sent"},
        "activities/direct_claims.py": {"gave_up", "no_template"},
        "channels/render.py": {"no_content_for_channel", "missing_variable", "template_too_large", "template_error"},
    }
    for place, expected in places.items():
        found = {code.partition(":")[0] for code in _codes(ast.parse((ROOT / place).read_text()))}
        assert expected <= found, place


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=(ast.Name(id=name) | ast.Attribute(attr=name)), args=args) if name in CALLS:
                yield from _constants(args)
            case ast.Call(func=ast.Name(id="Settlement"), args=[_, _, _, reason, *_]):
                yield from _constants([reason])
            case ast.Dict(keys=[ast.Constant(value="failed"), *more], values=[code, *_]) if len(more) <= 1:
                # What the renderer's child answers; a provider's table has more rows.
                yield from _constants([code])
            case ast.Assign(targets=[ast.Name(id="Code")], value=ast.Subscript(slice=codes)):
                yield from _constants([codes])
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant() as value) if name in KEYWORDS:
                yield from _constants([value])
            case ast.keyword(arg=name, value=value) if name in KEYWORDS:
                yield from _constants([value])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in RETURNS:
                yield from _constants([each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value])
            case ast.Constant(value=str(text)):
                yield from IN_SQL.findall(text)


def _constants(nodes: list[ast.expr]) -> Iterator[str]:
    """Texts that look like codes, also in tuples and in the branches of an `if`."""
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)) if CODE.fullmatch(text):
                yield text
            case ast.Tuple(elts=inner) | ast.List(elts=inner):
                yield from _constants(inner)
            case ast.IfExp(body=body, orelse=orelse):
                yield from _constants([body, orelse])
            case ast.BoolOp(values=values):
                yield from _constants(values)
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                yield text
