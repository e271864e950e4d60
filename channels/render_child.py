"""A process that reads, compiles and renders templates of strangers. It has limits, no settings, no files and no network of ours.

Frames are 4 bytes of length and JSON, both ways: whoever takes this process over can hand back text, and nothing else.
"""

import contextlib
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import orjson
from jinja2 import Template

from channels import template_checks, template_language, template_parts, template_variables, template_vetting
from channels.template_language import MissingVariable, TooLarge
from channels.template_lookups import Asked
from channels.template_writing import written

MEMORY_BYTES = 512 * 1024 * 1024
# A template of a mail takes milliseconds. This is CPU time, so a busy machine makes nobody's template too slow.
CPU_S = 0.25
FRAME_LIMIT = 8_000_000
_SLOW_TO_COMPILE_S = 0.05
_GROWN_BYTES = 200 * 1024 * 1024

_LANGUAGES = {is_html: template_language.language(html=is_html, asks=True) for is_html in (False, True)}


def main() -> None:
    """Answer frames from stdin on stdout until stdin ends or memory has grown."""
    _warm_up()
    _take_limits()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _write(sink, {"ready": True})
    while (job := _read(source)) is not None:
        # The kernel ends this process when the job has used its time, in whatever code it is stuck.
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        answer = _answer(job)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(sink, answer)
        if answer["is_leaving"]:
            return


def _answer(job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = _JOBS[job["do"]](job)
    except MemoryError:
        answer = {"failed": "template_too_large"}
    except (MissingVariable, TooLarge, template_parts.BadFile) as error:
        answer = {"failed": _reason(error), "why": str(error)[:300]}
    except Exception as error:  # noqa: BLE001 - whatever a template makes Jinja or a filter raise is the template's error
        answer = {"failed": "template_error", "why": f"{type(error).__name__}: {error}"[:300]}
    return answer | {"is_leaving": _has_grown()}


def _prepare(job: Mapping[str, Any]) -> dict[str, Any]:
    """From files to Jinja sources, each compiled once here to see that it can be, and how long that takes."""
    files = job["files"]
    settings = template_parts.settings(files)
    found = template_parts.parts(files, job["channel"])
    bare: set[str] = set()
    asks = False
    parts = []
    for part in found:
        began = time.process_time()
        tree = _LANGUAGES[part.is_html].parse(part.source)
        mentioned = template_variables.mentions(tree)
        bare |= {mention.path for mention in mentioned if not mention.is_covered}
        asks = asks or any(template_variables.source_of(mention.path) is not None for mention in mentioned)
        is_bounded = template_vetting.is_bounded(tree)
        _compiled(part.source, part.is_html)
        is_quick = time.process_time() - began < _SLOW_TO_COMPILE_S
        parts.append({"name": part.name, "source": part.source, "is_html": part.is_html, "is_bounded": is_bounded and is_quick})
    required = [path for path in settings.required if path in bare]
    return {
        "parts": parts,
        "asks": asks,
        "required": required,
        "from": settings.sender,
        "reply_to": settings.reply_to,
        "defaults": dict(settings.defaults),
        "locale": settings.locale,
    }


def _render(job: Mapping[str, Any]) -> dict[str, Any]:
    asked: set[Asked] = set()
    variables = template_language.named(job["variables"], asked)
    try:
        parts = {part["name"]: written(_compiled(part["source"], part["is_html"]), variables) for part in job["parts"]}
    except Exception:
        # What went wrong with a stand-in may go well with the row.
        if not asked:
            raise
        parts = {}
    return {"asked": sorted(asked)} if asked else {"parts": parts}


@lru_cache(maxsize=64)
def _compiled(source: str, is_html: bool) -> Template:
    return _LANGUAGES[is_html].from_string(source)


def _check(job: Mapping[str, Any]) -> dict[str, Any]:
    found = template_checks.findings(job["files"])
    return {
        "findings": [each.as_row() for each in found],
        "push": template_checks.push_sample(job["files"]),
        "sources": [] if found else template_checks.sources_of(job["files"]),
    }


_JOBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"prepare": _prepare, "render": _render, "check": _check}


def _reason(error: Exception) -> str:
    match error:
        case MissingVariable():
            return f"missing_variable:{error}"[:120]
        case TooLarge():
            return "template_too_large"
        case _:
            return "template_error"


def _warm_up() -> None:
    """Load what is loaded at first use: afterwards no file can be opened."""
    template_language.keep_zones()
    sample = {"subject.txt": "{{ user.a | default('x') | date }}", "body.mjml": "<mjml><mj-body></mj-body></mjml>"}
    _answer({"do": "prepare", "files": sample, "channel": "email"})
    _answer({"do": "prepare", "files": {"subject.txt": "a", "body.html": "<style>p{color:red}</style><p>a</p>"}, "channel": "email"})
    dated = {"name": "a", "source": "{{ entry.a | local('UTC') | date }}", "is_html": True}
    _answer({"do": "render", "parts": [dated], "variables": {"entry": {"a": "2026-01-01"}}})
    _answer({"do": "check", "files": sample})
    _answer({"do": "prepare", "files": {"sms.txt": "{{ a"}, "channel": "sms"})
    divided = {"name": "a", "source": "{{ 1 / 0 }}", "is_html": False}
    _answer({"do": "render", "parts": [divided], "variables": {}})


def _take_limits() -> None:
    # Some systems have no limit of address space; the others hold there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # Ctrl-C in a terminal goes to the whole group; our parent ends us by closing stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _has_grown() -> bool:
    """Linux counts the parent's peak from before exec as ours, so only what came on top of the beginning says anything."""
    return _peak_bytes() > max(_GROWN_BYTES, _PEAK_AT_START)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


_PEAK_AT_START = _peak_bytes()


def _read(source: BinaryIO) -> Any:
    head = source.read(4)
    if len(head) < 4:  # noqa: PLR2004 - the length's own length
        return None
    return orjson.loads(source.read(int.from_bytes(head, "big")))


def _write(sink: BinaryIO, answer: Mapping[str, Any]) -> None:
    raw = orjson.dumps(answer)
    if len(raw) > FRAME_LIMIT:
        raw = orjson.dumps({"failed": "template_too_large", "is_leaving": answer["is_leaving"]})
    sink.write(len(raw).to_bytes(4, "big") + raw)
    sink.flush()


if __name__ == "__main__":
    main()
