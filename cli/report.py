"""`sojourn report`: what became of those who entered a journey, as a funnel that fits 80 columns."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from cli.client import client
from cli.console import out
from cli.moments import moment
from cli.options import segment
from cli.share_words import points, share, verdict
from journeys.language.errors import Refused

WIDTH = 79
LEFT = 43
BAR = 18
_TOLD = ("delivered", "opened", "clicked", "bounced", "complained", "unsubscribed")

Moment = Annotated[str | None, typer.Option(help="2026-11-01, 2026-11-01T09:00Z, or 7d, 24h, 2w ago; cut to the full hour, UTC")]


def report(
    name: Annotated[str, typer.Argument(help="the journey's name")],
    since: Moment = None,
    until: Moment = None,
    version: Annotated[int | None, typer.Option(help="only people in this version")] = None,
    arm: Annotated[str | None, typer.Option(help="only people of this arm: discount, or offer=discount")] = None,
    *,
    by_arm: Annotated[bool, typer.Option("--by-arm", help="a funnel for each arm of each Split")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="count everything anew from what is stored")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the answer of the API")] = False,
) -> None:
    """Show what became of those who entered: steps, messages, conversions, arms and holdout."""
    path = f"/v1/journeys/{segment(name)}/report"
    query = {"since": moment(since), "until": moment(until), "version": version}
    with client() as sojourn:
        if rebuild:
            hours = sojourn.post(f"{path}/rebuild")["hours"]
            out.print(f"Counting {hours:,} hours of entries anew; until then the numbers are those from before.")
            return
        whole = sojourn.get(path, **query)
        found = whole if arm is None else sojourn.get(path, **query, **_arm(whole, arm))
        each = [sojourn.get(path, **query, split=split, arm=one) for split, one in _arms(whole)] if by_arm else []
    if as_json:
        out.print_json(orjson.dumps([found, *each] if by_arm else found).decode())
        return
    for line in [*lines(found), *(line for one in each for line in ["", *_head(one), *_funnel(one)])]:
        out.print(line)


def lines(found: Any) -> Iterator[str]:
    """The whole report, line by line, with markup."""
    yield from _head(found)
    yield from _sums(found)
    yield from _funnel(found)
    for split in found["splits"]:
        yield from _split(split)
    if found["goal"] and (found["splits"] or found["holdout"]):
        yield "[dim]In brackets: where the truth lies, at 95 %, however often you look.[/]"
        if found["enter_again"]:
            yield "[dim]People may enter again and count each time: the brackets are too narrow.[/]"


def _head(found: Any) -> Iterator[str]:
    who = f"{found['split']} = {found['arm']}, " if found["arm"] else ""
    versions = f"version {found['version']}" if found["version"] else f"all versions (live: {found['live_version']})"
    yield f"[bold]{escape(found['journey'])}[/]: {escape(who)}{_range(found)}, {versions}"
    if found["as_of"] is None:
        yield "[yellow]nothing has been counted yet: the worker counts within seconds[/]"
        return
    late = f"; {found['hours_due']:,} hours are being counted anew" if found["hours_due"] else ""
    yield f"[dim]as of {_time(found['as_of'], seconds=True)} UTC{late}[/]"


def _range(found: Any) -> str:
    since, until = found["since"], found["until"]
    if since and until:
        return f"entered {_time(since)} to {_time(until)} UTC"
    if since:
        return f"entered since {_time(since)} UTC"
    return f"entered before {_time(until)} UTC" if until else "everybody who entered"


def _sums(found: Any) -> Iterator[str]:
    yield ""
    yield _sum("entered", found["entered"], "")
    yield _sum("inside now", found["inside"], "")
    yield from _because("ended", found["ended"])
    yield from _because("not entered", found["refused"])
    holdout = found["holdout"]
    if holdout:
        yield _sum("held out", holdout["held_out"], "measured, and written nothing")
    if found["goal"] is None:
        return
    yield f"  [dim]goal: {escape(_cut(found['goal'], WIDTH - 8))}[/]"
    yield _sum("converted", _n(found["converted"]), share(found["converted"]))
    if holdout:
        yield _sum("in holdout", _n(holdout["converted"]), share(holdout["converted"]))
        yield _sum("difference", None, points(holdout["difference"]))
    if holdout and holdout["is_mismatched"]:
        yield "  [red]more or fewer people are held out than `holdout` says: trust no result[/]"


def _sum(name: str, n: int | None, words: str) -> str:
    return f"  {name:<12}{'' if n is None else f'{n:,}':>10}  {words}".rstrip()


def _because(name: str, reasons: Sequence[Any]) -> Iterator[str]:
    if reasons:
        start = _sum(name, sum(each["n"] for each in reasons), "")
        yield from _wrapped(f"{start}  ", [f"{each['reason']} {each['n']:,}" for each in reasons], len(start) + 2)


def _funnel(found: Any) -> Iterator[str]:
    yield ""
    yield f"[dim]{'step':<{LEFT}}{'people':>9}  of entered[/]"
    for step in found["steps"]:
        indent = "  " * (step["depth"] + 1)
        if step["branch"]:
            yield f"[dim]{indent[2:]}{escape(_cut(step['branch'], WIDTH - len(indent)))}:[/]"
        yield from _step(step, indent, found["entered"])
    yield from _elsewhere(found["now"])
    if found["gone_steps"]:
        yield f"[dim]no longer in the live version: {escape(', '.join(found['gone_steps']))}[/]"


def _elsewhere(places: Sequence[Any]) -> Iterator[str]:
    """Those of whom it is not known where exactly: in one of several waits, or in a version that has another way on."""
    for place in places:
        if len(place["at"]) > 1:
            yield f"[dim]{place['people']:,} after {escape(place['after'] or 'entry')} may be in {escape(' or '.join(place['at']))}[/]"
    lost: Counter[str] = Counter()
    for place in places:
        if not place["at"]:
            lost[place["after"] or "entry"] += place["people"]
    for after, people in lost.most_common():
        yield f"[dim]{people:,} inside after {escape(after)}[/]"


def _step(step: Any, indent: str, entered: int) -> Iterator[str]:
    room = LEFT - len(indent)
    words = _cut(step["words"], max(12, room - len(step["step"]) - 2))
    left = f"{indent}[bold]{escape(step['step'])}[/]  {escape(words)}" + " " * max(1, room - len(step["step"]) - 2 - len(words))
    here = f"{step['here_now']:,} here now" if step["here_now"] else ""
    if step["passed"] is None:
        yield f"{left}[cyan]{here:>18}[/]".rstrip() if here else left.rstrip()
        return
    rate = step["passed"] / entered if entered else 0.0
    bar = f" [green]{_bar(rate)}[/]" if _bar(rate) else ""
    yield f"{left}{step['passed']:>9,} {_percent(rate):>6}{bar}"
    yield from _wrapped(f"{indent}  ", _parts(step), len(indent) + 2)


def _parts(step: Any) -> list[str]:
    parts = [f"{step['here_now']:,} here now"] if step["here_now"] else []
    if step["messages"] is None:
        return [*parts, *(f"{way['words']} {way['people']:,}" for way in step["ways"])]
    messages = step["messages"]
    parts.append(f"sent {messages['sent']:,}")
    parts += [f"{what} {messages[what]:,}" for what in (*_TOLD, "rejected") if messages[what]]
    parts += [f"unconfirmed {messages['unknown']:,}"] if messages["unknown"] else []
    parts += [f"{each['reason']} {each['n']:,}" for each in messages["skipped"]]
    parts += [f"{each['amount']} {each['currency']}" for each in messages["costs"]]
    return parts + [f"given up ({each['reason']}) {each['n']:,}" for each in messages["given_up"]]


def _split(split: Any) -> Iterator[str]:
    yield ""
    yield f"[dim]{'arm of ' + escape(split['split']):<{24}}{'entered':>9}{'sent':>9}{'converted':>11}[/]"
    for arm in split["arms"]:
        converted = f"{_n(arm['converted']):>11,}  {share(arm['converted'])}" if arm["converted"] else ""
        yield f"  [bold]{escape(_cut(arm['arm'], 20)):<22}[/]{arm['entered']:>9,}{arm['sent']:>9,}{converted}"
        for what, against in (("against holdout", arm["against_holdout"]), (f"against {split['arms'][0]['arm']}", arm["against_first"])):
            if against:
                yield f"    {escape(_cut(what, 29)):<30}{points(against)}{verdict(against)}"
    if split["is_mismatched"]:
        yield "  [red]an arm holds more or fewer people than its weight says: trust no result[/]"


def _wrapped(start: str, parts: Sequence[str], indent: int) -> Iterator[str]:
    """Parts between middle dots, over as many lines as they need."""
    line = start
    for place, part in enumerate(parts):
        joined = part if place == 0 else f" · {part}"
        if len(line) + len(joined) > WIDTH and place:
            yield _dim(start, line)
            line, joined = " " * indent, part
        line += joined
    yield _dim(start, line)


def _dim(start: str, line: str) -> str:
    return escape(line) if start.strip() and line.startswith(start) else f"[dim]{escape(line)}[/]"


def _bar(rate: float) -> str:
    eighths = round(min(rate, 1.0) * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _percent(rate: float) -> str:
    return f"{rate * 100:.1f} %" if 0 < rate < 0.1 else f"{rate * 100:.0f} %"  # noqa: PLR2004 - small shares need the decimal


def _n(found: Any) -> int:
    return found["n"] if found else 0


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _time(moment: str, *, seconds: bool = False) -> str:
    return moment[: 19 if seconds else 16].replace("T", " ")


def _arms(found: Any) -> list[tuple[str, str]]:
    return [(split["split"], arm["arm"]) for split in found["splits"] for arm in split["arms"]]


def _arm(found: Any, wanted: str) -> dict[str, str]:
    split, _, arm = wanted.rpartition("=")
    fitting = [(one, other) for one, other in _arms(found) if other == arm and split in ("", one)]
    if len(fitting) != 1:
        known = ", ".join("=".join(each) for each in fitting or _arms(found)) or "none: this journey has no Split"
        raise Refused(f"name one arm; there are {known}" if not fitting else f"{wanted} is an arm of several Splits: {known}")
    return {"split": fitting[0][0], "arm": fitting[0][1]}
