"""What the SQL of a segment may say: one SELECT over the tables that are shown to it, with functions that only compute. Pure.

It is run by a role that can read and nothing else (migration 0022). Some functions of Postgres change settings, wait, or read elsewhere
whoever calls them, so the ones that may be called are named here; and what could hide a call (quotes, comments, dollars) is left out.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<comment>--|/\*)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)
_NOT_ALLOWED = {
    ";": "write one statement, without a semicolon",
    '"': "write names without double quotes",
    "$": "write no dollar sign outside of texts",
    "\\": "write no backslash outside of texts",
    "'": "a text is not closed: write a quote inside of a text twice",
}
# What may stand before an opening bracket and is no function.
_BEFORE_BRACKETS = """
    all and any as between by case cast distinct else except exists filter from group having ilike in intersect is join lateral
    like limit materialized not numeric offset on or over partition select some then union using values varchar when where with
    within
"""
_COMPUTING = """
    abs age array_agg array_length avg bool_and bool_or cardinality ceil ceiling coalesce concat count cume_dist date_part
    date_trunc dense_rank extract first_value floor greatest jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_exists jsonb_extract_path jsonb_extract_path_text jsonb_object_keys jsonb_typeof lag last_value lead least left length
    ln lower make_interval max md5 min mod ntile nullif percent_rank percentile_cont percentile_disc position power rank
    regexp_replace replace right round row_number split_part sqrt starts_with stddev strpos substring sum to_char to_date
    to_number to_timestamp trim trunc unnest upper variance width_bucket
"""
_CALLABLE = frozenset([*_BEFORE_BRACKETS.split(), *_COMPUTING.split()])


def faults(statement: str) -> Iterator[str]:
    """Say what must be written otherwise, each with its remedy."""
    tokens = [each for each in _TOKEN.finditer(statement) if each.lastgroup != "space"]
    first = tokens[0].group().lower() if tokens else ""
    if first not in ("select", "with"):
        yield "it must begin with SELECT or WITH"
    yield from sorted({words for each in tokens for words in _of_token(each.lastgroup or "", each.group())})
    yield from _brackets([each.group() for each in tokens])
    for one, following in pairwise(tokens):
        if one.lastgroup == "word" and following.group() == "(" and one.group().lower() not in _CALLABLE:
            yield f"{one.group()}(...) cannot be called: only functions that compute can, such as count, coalesce, date_trunc"
        if one.lastgroup == "word" and following.lastgroup == "text" and one.end() == following.start():
            yield "write texts with plain quotes, without a letter before them"


def _of_token(kind: str, written: str) -> Iterator[str]:
    match kind:
        case "comment":
            yield "write no comments"
        case "word" if written.lower().startswith(("pg_", "information_schema")):
            yield "what belongs to Postgres itself cannot be read: name tables of Sojourn"
        case "other" if written == "&":
            yield "write no & outside of texts"
        case "other" if written in _NOT_ALLOWED:
            yield _NOT_ALLOWED[written]
        case "other" if not written.isascii():
            yield "write letters beyond ASCII in texts only"


def _brackets(tokens: list[str]) -> Iterator[str]:
    depth = 0
    for each in tokens:
        depth += (each == "(") - (each == ")")
        if depth < 0:
            break
    if depth != 0:
        yield "a bracket has no partner"
