"""Every text that `sojourn check` can give, from the smallest thing that is wrong. A text without a row here fails the last test."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path

import pytest

import journeys.language
from cli import house, type_words
from cli.findings import Finding
from journeys.language import conditions, durations, entries, events, journey, messages, payloads, steps

ROOT = Path(__file__).resolve().parents[2]
HELLO = 'Send("hello", email("hello"))'
HEAD = """
from journeys.language import *
from journeys.language.events import Events
from journeys.language.messages import *
X = event("x")
"""
GOOD = HEAD + f'journey = Journey("good", starts_on=X, steps=[{HELLO}])\n'
TEMPLATE = {
    "template.toml": 'from = "a@example.com"\n',
    "subject.txt": "Hello",
    "body.txt": "Hello. {{ links.unsubscribe }}",
    "sms.txt": "Hello",
}
OPEN_TICKET = 'async def open_ticket(call):\n    """A function."""\n    return {}\n'
FUNCTIONS = 'from functions.open_ticket import open_ticket\nFUNCTIONS = {"open_ticket": open_ticket}\n'
APPROVED = "name = 'hello'\nlanguage = 'en'\n"
WHERE_ASKS = "cannot be asked inside .where(...): use prop, entry, captured and literals there, and an If for the rest"


@dataclass(frozen=True)
class Row:
    """A code, what is wrong as fields of a journey or as files, and the words with their place: `pointer: message`."""

    code: str
    words: str
    steps: str = ""
    fields: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def step(code: str, steps: str, words: str) -> Row:
    return Row(code, f"checked/{words}", steps=steps)


def of(code: str, fields: str, words: str) -> Row:
    return Row(code, f"checked{words}", fields=fields)


def files(code: str, written: Mapping[str, str], words: str) -> Row:
    return Row(code, words, files=written)


def template(code: str, written: Mapping[str, str], words: str) -> Row:
    return files(code, {f"journeys/templates/hello/{name}": text for name, text in written.items()}, f"templates/hello/{words}")


def broken(code: str, source: str, words: str) -> Row:
    return files(code, {"journeys/broken.py": HEAD + source}, f"broken.py: {words}")


def another(fields: str, steps: str = HELLO) -> Mapping[str, str]:
    return {"journeys/other.py": HEAD + f'journey = Journey("other", starts_on=X, steps=[{steps}], {fields})\n'}


def asking(condition: str) -> str:
    return f'If("i", {condition})'


JOURNEY = [
    of(
        "name_not_kebab",
        'name="Checked"',
        ": a journey's name is small letters and digits joined by hyphens, 63 at most: write it like order-status",
    ),
    of("no_steps", "steps=[]", ": a journey needs at least one step: write it in steps=[...]"),
    of(
        "holdout_percent",
        "holdout=100",
        ": holdout is a percentage from 0 to below 100 with two decimals at most: write 10 for every tenth person",
    ),
    of(
        "key_without_event",
        'starts_on=segment("vip"), key=prop("id")',
        ": key is a property of what lets people in: start on event(...) or requested(), or remove key",
    ),
    of("no_duration", "again_after=days(0)", ": again_after must be longer than 0: write a length of time, such as days(7)"),
    of(
        "no_duration",
        "goal=X.within(days(0))",
        ": the time within which the goal counts must be longer than 0: write a length of time, such as days(7)",
    ),
    of(
        "quiet_too_long",
        'quiet_hours=QuietHours("10:00", "09:00")',
        ": these quiet hours last longer than 22 hours: leave two hours of the day in which to send",
    ),
    of(
        "window_days",
        'send_window=SendWindow("09:00", "17:00", days=[])',
        ": days= names each weekday of the window once: write them, or leave it out for every day",
    ),
    of(
        "never_permitted",
        'quiet_hours=QuietHours("21:00", "08:00"), send_window=SendWindow("22:00", "06:00")',
        ": the send window lies inside the quiet hours: let them leave some time in which to send",
    ),
    of("no_duration", "caps=[Cap(3, per=hours(0))]", ": a cap's per must be longer than 0: write a length of time, such as days(7)"),
    of(
        "not_known_here",
        'starts_on=X.where(entry("n") == 1)',
        "/starts_on: nothing has been captured before it starts: use prop and literals",
    ),
    of(
        "not_known_here",
        'starts_on=date(entry("renews_on"))',
        "/starts_on: nothing has been captured before it starts: use trait and literals",
    ),
    of(
        "prop_outside_event",
        'exits_on=prop("n") == 1',
        "/exits_on: prop(...) is read of an event: use it in .where, key, where= and total= only",
    ),
    of("where_asks_more", 'goal=X.where(has("push")).within(days(1))', f"/goal: `has` {WHERE_ASKS}"),
    of("any_key_mixed", "exits_on=X | X.any_key()", "/exits_on: the same event stands here with and without any_key(): decide for one"),
    of("event_without_name", 'exits_on=event(" ")', "/exits_on: an event needs a name: write the one that your tracking sends"),
    of("no_events", "exits_on=Events([])", "/exits_on: there is no event here: name at least one"),
    of(
        "enters_once",
        'starts_on=date(trait("born_on"), every="year")',
        "/starts_on: this comes again and again, and each person enters once in a lifetime: write again_after=ALWAYS if they shall enter"
        " each time",
    ),
    of(
        "date_not_followed",
        'starts_on=date(last_did("x") + days(1))',
        "/starts_on: date(...) follows what a person's attributes say: read trait(...) or location(...)",
    ),
    of(
        "cron_not_read",
        'starts_on=schedule(cron("0 25 * * *"), segment="vip"), again_after=ALWAYS',
        '/starts_on: cron("0 25 * * *") cannot be read: the hour goes from 0 to 23, upwards',
    ),
    of(
        "cron_never",
        'starts_on=schedule(cron("0 9 30 2 *"), segment="vip"), again_after=ALWAYS',
        '/starts_on: cron("0 9 30 2 *") names days that no month has: name one that comes',
    ),
    of(
        "cron_too_often",
        'starts_on=schedule(cron("* * * * *"), segment="vip"), again_after=ALWAYS',
        "/starts_on: in the zone of each, cron strikes at most 96 times a day: write zone=, or every(...), or fewer times",
    ),
    of(
        "once_with_seconds",
        'starts_on=schedule(once("2031-12-01T09:00:30"), segment="vip")',
        "/starts_on: once(...) is of a minute: leave the seconds out",
    ),
    of(
        "interval_too_short",
        'starts_on=schedule(every(seconds(30)), segment="vip"), again_after=ALWAYS',
        "/starts_on: every(...) is a minute or longer: write minutes(1) or more, or start on event(...)",
    ),
    of(
        "interval_in_zone",
        'starts_on=schedule(every(hours(6)), segment="vip", zone="Europe/Berlin"), again_after=ALWAYS',
        "/starts_on: every(...) is exact and asks no clock: leave zone= out, or write at(...) or cron(...)",
    ),
    of(
        "zone_unknown",
        'starts_on=schedule(at("09:00"), segment="vip", zone="Europe/Atlantis"), again_after=ALWAYS',
        "/starts_on: there is no zone Europe/Atlantis: write its IANA name, such as Europe/Berlin",
    ),
    of(
        "per_second_bounds",
        'starts_on=schedule(at("09:00"), segment="vip", per_second=0), again_after=ALWAYS',
        "/starts_on: per_second= is from 1 to 1000 people a second: write a number between, or leave it out",
    ),
    of(
        "segment_not_known",
        'exits_on=in_segment("vip")',
        "/exits_on: no file here writes a segment vip: write journeys/segments/, unless the app has it from elsewhere",
    ),
]
STEPS = [
    step("id_not_unique", f"{HELLO}, {HELLO}", "hello: 2 steps have the id 'hello': give each its own"),
    step(
        "id_not_plain",
        'Wait("1st", days(1))',
        "1st: a step's id is letters, digits, _ and -, begins with a letter and has 63 at most: write it like second_chance",
    ),
    step("id_reserved", 'Wait("now", days(1))', "now: 'now' has a meaning in since=: choose another id"),
    step("unreachable", f'Exit("e", "done"), {HELLO}', "hello: every way through 'e' exits: remove the steps behind it"),
    step(
        "since_left_out",
        f'Repeat("r", [{HELLO}, WaitFor("w", X, within=days(1))], times=2)',
        "w: this WaitFor repeats and counts from the last Send, so a late answer to an earlier pass does not count:"
        ' write since="entry" if it should, since="now" if not',
    ),
    step(
        "nothing_to_update",
        'Update("u", {})',
        'u: an Update without attributes does nothing: name one, such as {"plan": "pro"}, or remove the step',
    ),
    step(
        "no_url",
        'Call("c", request("POST", "ftp://x"))',
        "c: a request needs a whole URL: write it with https:// or http:// at the beginning",
    ),
    step(
        "attribute_name",
        'Update("u", {"$timezone": "UTC"})',
        "u: an attribute cannot be called '$timezone': write a name that does not begin with $",
    ),
    step(
        "host_from_data",
        'Call("c", request("GET", "https://{host}/x", fill={"host": entry("host")}))',
        "c: the host of a URL is not filled in: write it out, and use {names} in path and query only",
    ),
    step(
        "url_not_filled",
        'Call("c", request("GET", "https://example.com/{order}"))',
        "c: the URL and fill= differ in order: give fill={'order': ...}",
    ),
    step(
        "url_not_filled",
        'Call("c", request("GET", "https://example.com/", fill={"order": entry("order")}))',
        "c: the URL and fill= differ in order: write {order} in the URL, or take it out of fill=",
    ),
    step("no_reason", 'Exit("e", " ")', "e: an Exit needs a reason, which people read in reports: write one, such as delivered"),
    step(
        "template_name",
        'Send("s", email("Welcome Mail"))',
        "s: a template's name is small letters and digits joined by hyphens: write it as its folder is called, like order-shipped",
    ),
    step(
        "no_address",
        'Send("s", email("hello"), to=" ")',
        "s: to= is empty: write an address or an expression, or take it out for the user's own address",
    ),
    step("duration_or_until", 'Wait("w")', "w: a Wait has a duration or until=, and not both: write one of them"),
    step(
        "if_past_without_until",
        f'Wait("w", days(1), if_past=[{HELLO}])',
        "w: a duration is never past: take if_past= out, or wait with until=",
    ),
    step("events_or_cases", 'WaitFor("w", within=days(1))', "w: a WaitFor has events or cases=, and not both: write one of them"),
    step(
        "then_beside_cases",
        f'WaitFor("w", cases=[Case(X, [])], within=days(1), then=[{HELLO}])',
        "w: with cases= each event has its own steps: move then= into them",
    ),
    step(
        "case_without_event",
        'WaitFor("w", cases=[Case(has("push"), [])], within=days(1))',
        "w: a Case of a WaitFor begins with event(...): use a Switch for conditions",
    ),
    step("within_or_until", 'WaitFor("w", X)', "w: a WaitFor has within= or until=, and not both: write one of them"),
    step(
        "since_unknown",
        'WaitFor("w", X, within=days(1), since="later")',
        'w: since=\'later\' names no earlier step: name one, or "entry" or "now"',
    ),
    step("no_duration", 'Wait("w", days(0))', "w: a wait must be longer than 0: remove the step, or name a duration"),
    step(
        "longer_than_journey",
        'Wait("w", days(541))',
        "w: this wait is longer than the journey's ends_after: shorten it, or raise ends_after",
    ),
    step("no_cases", 'Switch("s", cases=[])', "s: a Switch needs at least one case: write cases=[Case(condition, [...])]"),
    step("case_with_event", 'Switch("s", cases=[Case(X, [])])', "s: a Case of a Switch begins with a condition: use a WaitFor for events"),
    step(
        "weight_percent",
        'Split("s", arms=[Arm("a", 150, []), Arm("b", -50, [])])',
        "s: a weight is a percentage of 0 or more with two decimals at most: write 50 for half of the people",
    ),
    step("weights_not_100", 'Split("s", arms=[Arm("a", 50, []), Arm("b", 49, [])])', "s: the weights sum to 99: make them 100"),
    step("arm_not_unique", 'Split("s", arms=[Arm("a", 50, []), Arm("a", 50, [])])', "s: 2 arms are called 'a': give each its own name"),
    step("no_end", f'Repeat("r", [{HELLO}])', "r: this Repeat would never end: write times= or until="),
    step("no_times", f'Repeat("r", [{HELLO}], times=0)', "r: times= must be 1 or more: write how often, or remove the Repeat"),
    step("no_steps", 'Repeat("r", [], times=1)', "r: a Repeat needs at least one step: write it in the list behind the id"),
    step(
        "never_waits",
        f'Repeat("r", [{HELLO}], until=has("push"))',
        "r: without times= each pass must wait: add a Wait or WaitFor to its steps, or times=",
    ),
]
CONDITIONS = [
    step(
        "text_with_nul", asking('trait("a") == "\\0"'), "i: a text contains the character NUL, which no stored value can contain: remove it"
    ),
    step("captured_unknown", asking('captured("w", "n") == 1'), "i: captured('w', ...) names no earlier step: name one that captures"),
    step(
        "captures_nothing",
        f"{HELLO}, " + asking('captured("hello", "n") == 1'),
        "i: step 'hello' captures nothing: name a WaitFor, a Call, or a Wait with reset_by=",
    ),
    step("path_empty_part", asking('trait("a..b") == 1'), "i: a path has an empty part: write names joined by single dots"),
    step(
        "time_and_literal",
        asking('last_did("x") == "2026-01-01"'),
        "i: last_did(...) is a time: compare it with .before(...) and .after(...)",
    ),
    step("no_order", asking('trait("a") > True'), "i: true and false have no order: use == or !="),
    step("is_in_nothing", asking('trait("a").is_in([])'), "i: is_in([]) never holds: name values, or remove the condition"),
    step("starts_with_no_text", asking('trait("a").starts_with(1)'), "i: starts_with compares texts: write a text, or compare with =="),
    step(
        "near_no_place",
        asking("near(91, 0, 1)"),
        "i: near(latitude, longitude, km) is outside of the world: write -90 to 90, -180 to 180 and a distance above 0",
    ),
    step(
        "no_duration",
        'Wait("i", until=best_time(within=hours(0)))',
        "i: best_time(within=...) must be longer than 0: write a length of time, such as hours(24)",
    ),
    step(
        "bounds_cross",
        asking('did("x", at_least=3, at_most=2)'),
        "i: at_least= is above at_most=, which nothing satisfies: exchange them, or write did(...) | did(...)",
    ),
    step("always_true", asking('did("x", at_least=0)'), "i: at_least=0 always holds: name a number above 0, or remove the condition"),
    step(
        "total_without_bound",
        asking('did("x", total=prop("n"))'),
        "i: total= adds up and compares with nothing: write at_least= or at_most=",
    ),
    step("no_duration", asking('did("x", last=days(0))'), "i: last= must be longer than 0: write a length of time, such as days(30)"),
    step(
        "several_windows",
        asking('did("x", last=days(1), since="entry")'),
        "i: this counts in several windows at once: write one of last=, since= and between=",
    ),
    step(
        "half_a_sequence",
        asking('did("x", then="y")'),
        'i: a sequence is then= and within= together: write did("a", then="b", within=days(3))',
    ),
    step(
        "event_without_name",
        asking('did("x", then=" ", within=days(1))'),
        "i: then= needs a name of an event: write the one that your tracking sends",
    ),
    step(
        "no_duration",
        asking('did("x", then="y", within=days(0))'),
        "i: within= must be longer than 0: write a length of time, such as days(3)",
    ),
    step("where_asks_more", asking('did("x", then="y", within=days(1), then_where=sample(1))'), f"i: `sample` {WHERE_ASKS}"),
    step(
        "sample_percent",
        asking("sample(100.5)"),
        "i: a sample is a percentage from 0 to 100 with two decimals at most: write 10 for every tenth person",
    ),
    step(
        "sql_outside_segment",
        asking('sql("SELECT 1")'),
        "i: sql(...) can be asked in a segment only: put it into one, and ask in_segment(...) here",
    ),
    step("sql_without_text", asking('sql(" ")'), "i: sql(...) is empty: write a SELECT of user ids"),
    step("event_without_name", asking('did("")'), "i: an event needs a name: write the one that your tracking sends"),
    step("step_or_template", asking("sent()"), "i: sent(...) asks about a step or a template, and not both: write step= or template="),
    step(
        "no_such_send",
        asking('sent(step="later")'),
        "i: sent(step='later') names no Send before this place: name one, or ask about a template=",
    ),
]
PUSH = 'title = "x"\nbody = "y"\n'
HOUSE = [
    files(
        "sql_not_permitted",
        {"journeys/segments/slow.py": "from journeys.language import Segment, sql\nsegment = Segment('slow', sql('select pg_sleep(9)'))"},
        "segments/slow.py: this SQL cannot be asked: pg_sleep(...) cannot be called: only functions that compute can,"
        " such as count, coalesce, date_trunc",
    ),
    files(
        "slow_to_count",
        {"journeys/segments/slow.py": "from journeys.language import Segment, did\nsegment = Segment('slow', did('order_placed'))"},
        "segments/slow.py: did('order_placed') looks at all of these events that there are: bound it with last= or between= where you can",
    ),
    files(
        "no_segment",
        {"journeys/segments/slow.py": "x = 1"},
        "segments/slow.py: it has no `segment = Segment(...)`: write one, or let the file's name begin with _ when it only holds parts"
        " of others",
    ),
    step("no_template", 'Send("s", email("gone"))', "s: there is no template gone: add journeys/templates/gone/, or mend the name"),
    step("no_content", 'Send("s", push("hello"))', "s: template hello has nothing for push: add journeys/templates/hello/push.toml"),
    Row(
        "cannot_say",
        "checked/s: template hello: adm cannot say badge (it knows no badge): "
        'take it out, or let it be left out there: optional = ["badge"]',
        steps='Send("s", push("hello", provider="adm"))',
        files={"journeys/templates/hello/push.toml": f"{PUSH}badge = 1"},
    ),
    files(
        "no_unsubscribe",
        {"journeys/templates/hello/body.txt": "Hello"},
        "good/hello: marketing mail must show links.unsubscribe: add it to each body of template hello",
    ),
    files(
        "captured_elsewhere",
        {
            "journeys/templates/hello/template.toml": 'required = ["captured.came.total"]\n[sample.captured.came]\ntotal = 1\n',
            "journeys/templates/hello/subject.txt": "{{ captured.came.total }}",
        },
        "good/hello: template hello requires captured.came.total, and this journey has no such step: mend the name in the template",
    ),
    step(
        "no_function",
        'Call("c", function("gone"))',
        "c: there is no function gone: write functions/gone.py and its line in functions/catalogue.py, or mend the name;"
        " there are open_ticket",
    ),
    step("no_journey_to_enter", 'Enter("e", "gone")', "e: there is no journey gone in this house: write it, or mend the name"),
    files(
        "enters_without_key",
        {**another('key=prop("id")'), "journeys/enters.py": GOOD.replace("good", "enters").replace(HELLO, 'Enter("e", "other")')},
        "enters/e: other is keyed by id and starts nothing without it: give it in this Enter",
    ),
    files(
        "enters_itself",
        another("", 'Enter("e", "other")'),
        "other/e: this journey enters itself, and is refused while it is open: use a Repeat, or let it end first",
    ),
    files(
        "enters_without_property",
        {
            **another("", 'If("i", entry("total") > 1)'),
            "journeys/enters.py": GOOD.replace("good", "enters").replace(HELLO, 'Enter("e", "other")'),
        },
        "enters/e: other reads entry('total'), and this Enter does not give it: give it, or be sure that it may lack",
    ),
    files(
        "no_such_file",
        {"journeys/catalogue.py": "from journeys import gone, good\nJOURNEYS = (gone.journey, good.journey)\n"},
        "catalogue.py: there is no journeys/gone.py: add the file, or take gone out of the catalogue",
    ),
    files(
        "not_listed",
        {"journeys/catalogue.py": "JOURNEYS = ()\n"},
        "good.py: no journey of the house until it is listed: add good.journey to journeys/catalogue.py, or move the file away",
    ),
    files("import_failed", {"journeys/catalogue.py": "def ("}, "catalogue.py: Python cannot read this line: invalid syntax"),
    files(
        "name_twice",
        {"journeys/other.py": GOOD},
        "other.py: journeys/good.py names its journey good too: give one of them another name",
    ),
    broken(
        "no_journey",
        "x = 1",
        "it has no `journey = Journey(...)`: write one, or let the file's name begin with _ when it only holds parts of others",
    ),
    broken("import_failed", "def (", "Python cannot read this line: invalid syntax"),
    broken("import_failed", "1 / 0", "importing it fails with ZeroDivisionError: division by zero"),
    broken("import_failed", "import nothing", "No module named 'nothing': mend the name, or install what it belongs to"),
    broken(
        "import_failed",
        'has("push") and has("sms")',
        "a condition is a value, not a truth: combine conditions with & | ~, and write 10 <= x <= 20 as (x >= 10) & (x <= 20)",
    ),
    broken("import_failed", 'bool(trait("n"))', "an expression has no value before the journey runs: compare it, or ask .exists()"),
    broken("import_failed", '"x" in trait("n")', "write .contains(...) instead of `in`"),
    broken(
        "import_failed",
        'trait("a") >= 200 & has("push")',
        "put each comparison in parentheses: (trait('a') >= 200) & (trait('b') == 'x')",
    ),
    broken("import_failed", 'trait("a") == None', "nothing equals null: ask .exists(), or ~(...).exists()"),
    broken("import_failed", 'trait("a") == days(1)', "compare times with .before(...) and .after(...)"),
    broken(
        "wrong_type", 'Wait("w", "1 day")', "Wait(...) was given something else for duration: it must be a length of time, such as days(1)"
    ),
    broken(
        "wrong_type",
        'Journey("x", steps=[])',
        'Journey(...) lacks starts_on: give it an event, such as event("signed_up"),'
        " or segment(...), schedule(...), date(...), requested()",
    ),
    broken(
        "wrong_type",
        'Exit("x", "y", otherwise=[])',
        "Exit(...) has no otherwise=: it takes id, reason",
    ),
    broken(
        "wrong_type",
        f'If("x", has("push"), [{HELLO}])',
        "If(...) was given too many values without a name: write name=value behind the first ones",
    ),
    files("import_failed", {"functions/catalogue.py": "def ("}, "functions/catalogue.py: Python cannot read this line: invalid syntax"),
    files(
        "no_functions",
        {"functions/catalogue.py": "x = 1"},
        'functions/catalogue.py: it has no `FUNCTIONS = {"name": name, ...}`: write it, with a line for each function',
    ),
    files(
        "no_function_file",
        {"functions/catalogue.py": FUNCTIONS.replace("}", ', "gone": gone}')},
        "functions/catalogue.py: there is no functions/gone.py: add the file, or take gone out of the catalogue",
    ),
    files(
        "no_such_function",
        {"functions/open_ticket.py": "x = 1"},
        "functions/open_ticket.py: it has no `async def open_ticket(call: FunctionCall)`: name the function as its file",
    ),
]
TEMPLATES = [
    template("unknown_file", {"body.md": "Hello"}, "body.md: body.md belongs to no channel; known are body.html, "),
    template(
        "bad_file", {"template.toml": "locale = 'x'"}, "template.toml: locale is the language of the files without one, like en or de-AT"
    ),
    template(
        "bad_file",
        {"template.toml": "defaults = 1"},
        "template.toml: [defaults] gives values to names that begin with user, device, entry, captured, app, source, like user.first_name",
    ),
    template(
        "default_unused",
        {"template.toml": "defaults.user.x = 1"},
        "template.toml: user.x has a default and is nowhere used: remove it, or mend its spelling",
    ),
    template(
        "required_has_default",
        {"template.toml": "required = ['user.x']\ndefaults.user.x = 1", "sms.txt": "{{ user.x }}"},
        "template.toml: user.x is required and has a default: keep one of them",
    ),
    template(
        "unknown_file", {"template.de.toml": "x"}, "template.de.toml: template.toml holds for every language: move what it says there"
    ),
    template(
        "no_default_file",
        {"voice.de.txt": "x"},
        "voice.de.txt: voice.de.txt has no voice.txt beside it, which everybody else would get: add it",
    ),
    template(
        "mixed_languages",
        {"subject.de.txt": "x"},
        "body.txt: in de this file would stay in the other language: add body.de.txt",
    ),
    *(
        files(
            "bad_file",
            {
                "journeys/templates/hello/sms.txt": sms,
                "journeys/templates/_partials/a.txt": put_in,
                "journeys/templates/_layouts/a.txt": around,
            },
            f"templates/hello/{words}",
        )
        for sms, put_in, around, words in (
            ('{% include "_partials/b.txt" %}', "", "", "sms.txt: names _partials/b.txt, which is not there: add it, or mend the name"),
            (
                '{% include "b.txt" %}',
                "",
                "",
                'sms.txt: names in quotes what is put in, of _layouts/ or _partials/, and says nothing else: "_partials/footer.html"',
            ),
            (
                '{% include "_partials/a.txt" %}',
                '{% include "_partials/a.txt" %}',
                "",
                "_partials/a.txt: names _partials/a.txt, which names this file again: take one of them out",
            ),
            (
                '{% include "_partials/a.txt" %}' * 400,
                "x" * 1000,
                "",
                "_partials/a.txt: is more than 256000 characters with what is put in: shorten it",
            ),
            ("{% block a %}", "", "", "sms.txt: does not end its block a: add endblock"),
            ("{% endblock %}", "", "", "sms.txt: has an endblock without its block"),
            ("{% block 1 %}{% endblock %}", "", "", "sms.txt: a block has a name, and nothing else: {% block content %}"),
            ('x{% extends "_layouts/a.txt" %}', "", "x", "sms.txt: extends stands at the beginning, and once"),
            (
                '{% extends "_layouts/a.txt" %}{% block b %}{% endblock %}',
                "",
                "{% block a %}{% endblock %}",
                "sms.txt: has a block b that _layouts/a.txt lacks; it has a",
            ),
            (
                '{% extends "_layouts/a.txt" %}lost',
                "",
                "x",
                "sms.txt: says something outside its blocks, which _layouts/a.txt would not show: put it into a block",
            ),
            (
                "{% block a %}{{ super() }}{% endblock %}",
                "",
                "",
                "sms.txt: super() stands where there is no block of a layout: take it out",
            ),
        )
    ),
    files(
        "bad_file",
        {"journeys/templates/hello/sms.txt": '{% include "_partials/p0.txt" %}', "journeys/templates/_partials/p11.txt": "x"}
        | {f"journeys/templates/_partials/p{n}.txt": f'{{% include "_partials/p{n + 1}.txt" %}}' for n in range(11)},
        "templates/hello/_partials/p9.txt: is within more than 10 others: put fewer of them into each other",
    ),
    template("bad_file", {"template.toml": "x = ]"}, "template.toml: is not TOML at line 1"),
    template(
        "bad_file",
        {"template.toml": "x = 1"},
        "template.toml: unknown setting x; known are attachments, defaults, dlt_template_id, from, headers, locale, ",
    ),
    template(
        "bad_file",
        {"template.toml": "dlt_template_id = 1"},
        "template.toml: dlt_template_id is the number, as a text, under which the operator in India has registered the text",
    ),
    template(
        "bad_file",
        {"template.toml": "attachments = 1"},
        "template.toml: [attachments] is a table of files with their content types, 10 at most",
    ),
    template(
        "bad_file",
        {"template.toml": 'attachments = {"a.ics" = "text/calendar"}'},
        "template.toml: attachments.a.ics: there is no such file beside those that make the message",
    ),
    template(
        "bad_file",
        {"template.toml": 'attachments = {"a.ics" = "calendar"}', "a.ics": "x"},
        "template.toml: attachments.a.ics: a content type is written as application/pdf, in small letters and without parameters",
    ),
    template("bad_file", {"template.toml": "headers = 1"}, "template.toml: [headers] is a table of texts, 10 at most"),
    template(
        "bad_file",
        {"template.toml": '[headers]\nTo = "a"'},
        "template.toml: headers.To: this header is written by Sojourn or the provider: take it out",
    ),
    template("bad_file", {"template.toml": "required = 1"}, "template.toml: required is a list of dotted names, sample a table"),
    template("bad_file", {"template.toml": "from = 1"}, "template.toml: from, reply_to and topic are texts"),
    template("bad_file", {"subject.txt": ""}, "subject.txt: is missing: a mail needs a subject"),
    template("bad_file", {"body.txt": ""}, "body.txt: is missing: a mail needs body.txt, body.mjml or body.html"),
    template("bad_file", {"body.html": "x", "body.mjml": "x"}, "body.html: stands beside body.mjml: keep one of them"),
    template("bad_file", {"body.mjml": "<mj-body>"}, "body.mjml: is not MJML: "),
    template(
        "bad_file", {"in_app.toml": 'body = "x"\nboddy = "y"'}, "in_app.toml: unknown field boddy; known are title, body, url, image, "
    ),
    template("bad_file", {"in_app.toml": 'title = "x"'}, "in_app.toml: needs a text for body"),
    template(
        "bad_file",
        {"custom.toml": 'functoin = "x"'},
        "custom.toml: names the registered function in `function`, and what it is given in [fields]; there is nothing else",
    ),
    template("bad_file", {"custom.toml": 'function = "x"\nfields = "x"'}, "custom.toml: fields is a table of texts"),
    template("bad_file", {"push.toml": 'title = "x"\nboddy = "y"'}, "push.toml: unknown field boddy; known are title, body, url, image, "),
    template("bad_file", {"push.toml": 'title = "x"'}, "push.toml: needs texts for title, body, unless it is silent"),
    template("bad_file", {"push.toml": f'{PUSH}data = "x"'}, "push.toml: data is a table of texts"),
    template("bad_file", {"push.toml": f"{PUSH}badge = true"}, "push.toml: badge is a text or a number"),
    template("bad_push", {"push.toml": f"{PUSH}ttl = -1"}, "push.toml: ttl: Input should be greater than or equal to 0"),
    template(
        "unknown_provider",
        {"push.toml": f'{PUSH}providers = ["pigeon"]'},
        "push.toml: there is no pigeon; there are adm, apns, fcm, web_push",
    ),
    template(
        "cannot_say",
        {"push.toml": f'{PUSH}sound = "ping"\nproviders = ["web_push"]'},
        "push.toml: web_push cannot say sound (the browser chooses it): take it out, or let it be left out there: ",
    ),
    template(
        "no_content",
        {"subject.txt": "", "body.txt": "", "sms.txt": ""},
        "template.toml: no channel has content: add subject.txt and body.txt, or sms.txt, ...",
    ),
    template("subject_lines", {"subject.txt": "a\nb"}, "subject.txt: a subject is one line: join them"),
    template("syntax", {"sms.txt": "a\n{{ user.name "}, "sms.txt: line 2: "),
    template("syntax", {"sms.txt": "{{ user.name | shout }}"}, "sms.txt: line 1: there is no filter shout; there are abs, "),
    template(
        "unknown_variable", {"sms.txt": "{{ person.name }}"}, "sms.txt: line 1: there is no variable person.name; they begin with app, "
    ),
    template(
        "unnamed_source",
        {"sms.txt": "{{ source[entry.what | default('a')] }}"},
        "sms.txt: line 1: a source is named, and asked for a key: {{ source.product[entry.product_id].name }}",
    ),
    template(
        "no_default",
        {"sms.txt": "{{ user.name }}"},
        "sms.txt: line 1: user.name may be missing: write {{ user.name | default(...) }} "
        "or name it under required or defaults in template.toml",
    ),
    template(
        "sample_missing",
        {"sms.txt": "{{ user.name }}", "template.toml": 'required = ["user.name"]'},
        "sms.txt: user.name is not in the sample: add it under [sample] in template.toml",
    ),
    template(
        "sample_fails",
        {"sms.txt": "{{ user.name | default(1) + 'x' }}"},
        "sms.txt: cannot be filled in with the sample: TypeError: ",
    ),
    template(
        "required_unused",
        {"template.toml": 'required = ["user.name"]'},
        "template.toml: user.name is required and nowhere used: remove it, or mend its spelling",
    ),
    template("bad_file", {"template.toml": "voice = 'Amy'"}, "template.toml: voice is a table with name and language"),
    *(
        template("bad_file", {"voice.txt": "Hello", "template.toml": f"[voice]\n{line}"}, f"template.toml: {words}")
        for line, words in (
            ("pitch = 'high'", "unknown field pitch of [voice]; known are name, language"),
            ("name = '<Amy>'", "name of [voice] must be the name of a voice, such as Amy"),
            ("language = 'English'", "language of [voice] must be a language with its country, such as en-GB"),
        )
    ),
    *(
        template("bad_file", {"whatsapp.toml": f"{APPROVED}{lines}"}, f"whatsapp.toml: {words}")
        for lines, words in (
            ("colour = 'red'", "unknown field colour; known are body, buttons, content_sid, content_variables, header, language, name"),
            ("content_sid = 'HX1'", "content_sid must be HX and 32 digits, as Twilio shows it"),
            ("body = 'Ann'", "body must be a list of texts, or a table of texts by the variable's name"),
            ("[header]\npicture = 'x'", "[header] must have one of text, image, video, document, and a text for it"),
            ("[buttons]\nfirst = { url = 'x' }", "[buttons] must say by the button's place, from 0, either url or payload, with a text"),
            (
                f"content_sid = 'HX{'0' * 32}'\n[header]\ntext = 'Hi'",
                "Twilio numbers the variables of header and buttons with the body's: write all of them as content_variables",
            ),
        )
    ),
    template(
        "bad_file", {"whatsapp.toml": "language = 'en'"}, "whatsapp.toml: name must be small letters, digits and _, as WhatsApp shows it"
    ),
    template("bad_file", {"whatsapp.toml": "name = 'a'"}, "whatsapp.toml: language must be a code of WhatsApp's, such as en or en_GB"),
    files(
        "not_in_a_campaign",
        {
            "journeys/campaigns/sale.py": HEAD
            + 'from journeys.language.campaigns import Campaign\ncampaign = Campaign("sale", "x", sms("due"))\n',
            "journeys/templates/due/sms.txt": "{{ entry.total }}",
            "journeys/templates/due/template.toml": 'required = ["entry.total"]\n[sample.entry]\ntotal = 1\n',
        },
        "campaigns/sale.py: template due requires entry.total, and a campaign has none: require what is the user's, or give a default",
    ),
    *(
        files(
            code,
            {
                "journeys/campaigns/sale.py": HEAD
                + "from journeys.language.campaigns import *\n"
                + f'campaign = Campaign("sale", "x", versions=[Version("a", 50, email("hello")), Version("b", 50, email("hello"), {given}'
            },
            f"campaigns/sale.py: {words}",
        )
        for code, given, words in (
            (
                "after_too_long",
                "after=days(31))], lasts=days(40))",
                "after is so long after the run begins: from 0 to 30 days, such as hours(3)",
            ),
            (
                "after_the_end",
                "after=days(3))])",
                "the run is over before its last version is sent: make lasts longer than after",
            ),
            (
                "winner_after_end",
                "after=hours(60))], goal=X.within(days(1)), winner=WinnerRule(20, hours(2), hours(12)))",
                "the run is over before the rest gets anything: make lasts longer than the longest after and the winner's until together",
            ),
            (
                "lasts_too_short",
                'after=hours(60))], when=daily("09:00", local=True))',
                "a time goes round the world in 26 hours: with local=True lasts is 28 hours or more, beside the longest after",
            ),
            (
                "not_on_events",
                "after=hours(3))], when=X)",
                "after= is of runs, and an event sends at once: write a journey that waits and then sends",
            ),
            (
                "not_on_events",
                "after=None)], when=X, goal=X.within(days(1)))",
                "goal is of runs: of what an event sends messages are counted, and no results made: leave it out",
            ),
            (
                "not_on_events",
                "after=None)], when=X, lasts=days(4))",
                "what an event sends is tried for 72 hours at most: make lasts 72 hours or shorter",
            ),
        )
    ),
    template(
        "bad_ssml",
        {"voice.txt": "<speak>Hello"},
        "voice.txt: the SSML cannot be spoken with the sample: it is not well-formed at line 1, column 12",
    ),
    template("several_segments", {"sms.txt": "a" * 161}, "sms.txt: it is 2 segments (gsm7), and each is charged"),
    template(
        "costly_characters",
        {"sms.txt": "a" * 100 + "ç"},
        "sms.txt: it is 2 segments because of ç (U+00E7), which the alphabet of texts lacks; without it 1",
    ),
]
ROWS = [*JOURNEY, *STEPS, *CONDITIONS, *HOUSE, *TEMPLATES]

SOURCES = (
    "journeys/language/check.py",
    "journeys/language/check_steps.py",
    "journeys/language/check_conditions.py",
    "journeys/language/check_entries.py",
    "api/completeness.py",
    "cli/journey_files.py",
    "cli/function_names.py",
    "cli/type_words.py",
    "channels/template_checks.py",
    "channels/template_files.py",
    "channels/template_layouts.py",
    "channels/template_parts.py",
    "channels/template_voice.py",
    "channels/template_whatsapp.py",
    "channels/templates.py",
    "channels/push/checks.py",
)
REFUSING = ("journeys/language/conditions.py",)
"""Where the language itself refuses with a TypeError while a file is imported."""
SENTENCE_LENGTH = 25
APART = {"unannounced", "_with_inline_css", "_never_put_in"}
"""Functions whose words `check` does not give: the first is asked by apply, the second's library takes every stylesheet that was tried, and
a house's templates carry only what they use."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.words[:60]}")
def test_what_is_wrong_is_said_in_these_words(row: Row, tmp_path: Path) -> None:
    found = findings(tmp_path, row)
    assert [each for each in found if is_of(row, each)], [(each.problem.code, words_of(each)) for each in found]
    assert all(each.file.is_relative_to(tmp_path) and each.line >= 1 for each in found)


def test_no_code_is_given_without_a_row() -> None:
    given = {code for name in SOURCES for function in functions(name) for code in codes(function)}
    assert given - {row.code for row in ROWS} == set()


@pytest.mark.parametrize("name", [*SOURCES, *REFUSING])
def test_no_text_is_given_without_a_row(name: str) -> None:
    said = [row.words for row in ROWS]
    given = [text for function in functions(name) for text in (raised_texts(function) if name in REFUSING else texts(function))]
    assert [text for text in given if not any(re.search(text, words) for words in said)] == []


def test_what_belongs_somewhere_is_said_of_fields_that_there_are() -> None:
    homes = (journeys.language, conditions, durations, entries, events, messages, payloads, steps, journey)
    classes = {each for home in homes for each in vars(home).values() if isinstance(each, type) and is_dataclass(each)}
    assert set(type_words.BELONGS) - {one.name for each in classes for one in dataclass_fields(each)} == set()


def findings(home: Path, row: Row) -> list[Finding]:
    """What is found in a house that is sound but for this row."""
    written = {f"journeys/templates/hello/{name}": text for name, text in TEMPLATE.items()}
    written |= {"journeys/good.py": GOOD, "functions/open_ticket.py": OPEN_TICKET, "functions/catalogue.py": FUNCTIONS}
    if row.steps or row.fields:
        given = f'dict(name="checked", starts_on=X, steps=[{row.steps or HELLO}]) | dict({row.fields})'
        written["journeys/checked.py"] = f"{HEAD}journey = Journey(**({given}))\n"
    for name, text in {**written, **row.files}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        if text:
            (home / name).write_text(text)
    return house.load(home).findings


def is_of(row: Row, found: Finding) -> bool:
    """Words that end with a colon or comma go on with what a library or a long list says."""
    goes_on = row.words.endswith((": ", ", "))
    is_said = words_of(found).startswith(row.words) if goes_on else words_of(found) == row.words
    return found.problem.code == row.code and is_said


def words_of(found: Finding) -> str:
    return f"{found.problem.pointer.replace('Checked', 'checked')}: {found.problem.message}"


def functions(name: str) -> Iterator[ast.FunctionDef]:
    """The functions and methods of a file that say something to who checks."""
    module = ast.parse((ROOT / name).read_text())
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and node.name not in APART)


def codes(function: ast.FunctionDef) -> Iterator[str]:
    """The codes in place.problem(code, ...), Problem(pointer, code, ...), Finding(file, code, ...) and pairs of (code, words)."""
    for node in ast.walk(function):
        match node:
            case (
                ast.Call(func=ast.Attribute(attr="problem"), args=[ast.Constant(str(code)), *_])
                | ast.Call(func=ast.Name("Problem" | "Finding"), args=[_, ast.Constant(str(code)), *_])
                | ast.Yield(ast.Tuple([ast.Constant(str(code)), ast.Constant() | ast.JoinedStr()]))
            ):
                yield code


def texts(function: ast.AST) -> Iterator[str]:
    """Every sentence outside of docstrings as a pattern: what is filled in may be anything."""
    docs = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(function) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in strings for part in ast.walk(node) if part is not node}
    for node in ast.walk(function):
        if id(node) not in docs | inside and isinstance(node, (ast.Constant, ast.JoinedStr)):
            parts = [plain(part) for part in (node.values if isinstance(node, ast.JoinedStr) else [node])]
            said = "".join(part or "" for part in parts)
            if len(said) >= SENTENCE_LENGTH and " " in said:
                yield "".join(".*" if part is None else re.escape(part) for part in parts)


def raised_texts(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield from texts(node.exc)


def plain(part: ast.expr) -> str | None:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None
