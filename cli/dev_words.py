"""What `sojourn dev` prints when everything runs."""

import json
import shutil
import sys
from pathlib import Path

from rich.markup import escape

from cli.dev_ports import Ports
from cli.local_keys import LocalKeys

# With ids of their own, so that pasting it twice is one sign-up.
_BATCH = {
    "batch": [
        {
            "type": "identify",
            "messageId": "ada-is-ada",
            "userId": "ada",
            "traits": {"first_name": "Ada", "email": "ada@example.com", "phone": "+14155550123"},
            "context": {"device": {"type": "android", "token": "ada-phone"}, "consents": [{"channel": "sms", "state": "granted"}]},
        },
        {"type": "track", "messageId": "ada-signs-up", "userId": "ada", "event": "signed_up"},
    ]
}


def greeting(keys: LocalKeys, ports: Ports, *, fast: bool, house: Path = Path()) -> str:
    """Give the text with rich's markup: where everything is, the keys, and the first thing to try."""
    next_steps = _demo(fast=fast) if _is_demo(house) else _own_house(house)
    return f"""
[bold]Sojourn runs.[/] Ctrl-C stops it; everything is kept in .sojourn/.

  API         {keys.url}/docs
  Temporal    http://127.0.0.1:{ports.temporal_ui}
  Sandbox     {keys.url}/sandbox
  Write key   {keys.write_key}
  Secret key  {keys.secret_key}

[bold]Try it.[/] Somebody signs up:

{curl(keys)}

{next_steps} Segment libraries take {keys.url} as their host.
"""


def _is_demo(house: Path) -> bool:
    return house == Path() and (house / "journeys" / "onboarding.py").is_file()


def _demo(*, fast: bool) -> str:
    day = "10 seconds, because of FAST=1" if fast else "1 day"
    return f"""The welcome mail is in the sandbox at once; pasting this again changes nothing, for it is the same sign-up.
The push comes in {day}; to see it now:

  {how_to_call()} enrollments advance ada

Then: edit journeys/onboarding.py, `make check`, `make apply`."""


def _own_house(house: Path) -> str:
    call = how_to_call() if house == Path() else f"SOJOURN_HOUSE={house} {how_to_call()}"
    return f"""What your journeys send for it is in the sandbox at once; pasting this again changes nothing, for it is the same sign-up.
What happened to Ada, and what a wait of hers ends early:

  {how_to_call()} why ada
  {how_to_call()} enrollments advance ada

Your house is {house.resolve()}. Edit a journey there, then:

  {escape(call)} check
  {escape(call)} apply

A function is loaded when a worker starts: end this with Ctrl-C and start it again after you changed one."""


def curl(keys: LocalKeys) -> str:
    body = json.dumps(_BATCH)
    return f"curl -u {keys.write_key}: -H 'Content-Type: application/json' {keys.url}/v1/batch -d '{body}'"


def how_to_call() -> str:
    """Say how to type `sojourn` here: by its name where PATH finds this very one, else by its path."""
    own = Path(sys.prefix) / "bin" / "sojourn"
    on_path = shutil.which("sojourn")
    if on_path is not None and Path(on_path).resolve() == own.resolve():
        return "sojourn"
    here = Path.cwd()
    return str(own.relative_to(here)) if own.is_relative_to(here) else str(own)
