"""Where Jinja stands in a text, found in one pass whatever the text: a tag that is never closed is looked for once, not once for each."""

import re
from collections.abc import Iterator

_OPENING = re.compile(r"\{[%{#]")
_CLOSING = {"{%": "%}", "{{": "}}", "{#": "#}"}
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_OF_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")


def spans(text: str, *, with_raw: bool = False) -> Iterator[tuple[int, int]]:
    """Start and end of each tag, expression and comment, as Jinja's lexer finds them by default; with `with_raw` raw ... endraw is one."""
    at, lost = 0, set[str]()
    while found := _OPENING.search(text, at):
        start, kind = found.start(), found[0]
        end = -1 if kind in lost else text.find(_CLOSING[kind], start + 2)
        if end < 0:
            lost.add(kind)
            at = start + 1
            continue
        end += 2
        if with_raw and "raw" not in lost and _RAW.fullmatch(text, start, end):
            closed = _END_OF_RAW.search(text, end)
            if closed is None:
                lost.add("raw")
            else:
                end = closed.end()
        yield start, end
        at = end


def without_comments(text: str) -> str:
    """The text without Jinja's comments."""
    kept, at = [], 0
    for start, end in spans(text):
        if text.startswith("{#", start):
            kept.append(text[at:start])
            at = end
    return "".join(kept) + text[at:]
