"""What a run of a campaign came to, by version, and what becomes of those who wait for a winner, in words."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape

from cli.amounts import minute
from cli.share_words import points, share, verdict

_UNDECIDED = {
    "too_early": "it is too early",
    "too_few": "too few people are in a version",
    "not_clear": "no version is surely ahead",
}
_DECIDED = {
    "winner": "it has surely won",
    "by_hand": "somebody decided so",
    "control": "no version had surely won in time, and it is the control",
    "leader": "no version had surely won in time, and it was ahead",
    "nothing": "no version had surely won in time",
}
_SUSPECT = (
    "nothing is decided by itself, because people are not spread as the weights say: `sojourn campaigns winner {name} VERSION` decides"
)


def lines(told: Any, name: str) -> Iterator[str]:
    """The results of a run of the campaign `name`, line by line, with markup."""
    yield f"[dim]{'version':<24}{'people':>9}{'sent':>9}{'converted':>11}[/]"
    first = told["versions"][0]["version"]
    for each in told["versions"]:
        yield from _version(each, first)
    if told["held_out"]:
        yield from _version(told["held_out"], first, "held out")
    if told["is_mismatched"]:
        yield "  [red]a version has more or fewer people than its weight says: trust no result[/]"
    if told["winner"]:
        yield winner(told["winner"], name)
    yield "[dim]In brackets: where the truth lies, at 95 %, however often you look.[/]"


def _version(each: Any, first: str, called: str | None = None) -> Iterator[str]:
    found = each["converted"]
    converted = f"{found['n']:>11,}  {share(found)}" if found else ""
    yield f"  [bold]{escape(called or each['version']):<22}[/]{each['people']:>9,}{each['sent']:>9,}{converted}"
    for what, against in ((first, each["against_first"]), ("who was held out", each["against_holdout"])):
        if against:
            yield f"    against {escape(what):<22}{points(against)}{verdict(against)}"


def winner(told: Any, name: str) -> str:
    """What becomes of those who wait, or why that is not known yet; with markup."""
    because = told["because"]
    if told["decided_at"]:
        what = f"version {told['version']}" if told["version"] else "nothing"
        return escape(f"the rest get {what}: {_DECIDED.get(because, because)}")
    if because in _UNDECIDED:
        looks = f"; it is looked at again at {minute(told['look_at'])} UTC" if told["look_at"] else ""
        return escape(f"the rest wait: {_UNDECIDED[because]}{looks}")
    return f"[red]the rest wait: {escape(_SUSPECT.format(name=name))}[/]"
