"""What `sojourn dev` prints when everything runs."""

import json
import shutil
import sys
from pathlib import Path

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


def greeting(keys: LocalKeys, ports: Ports, *, fast: bool) -> str:
    """Give the text with rich's markup: where everything is, the keys, and the first thing to try."""
    day = "10 seconds, because of FAST=1" if fast else "1 day"
    call = how_to_call()
    return f"""
[bold]Sojourn runs.[/] Ctrl-C stops it; everything is kept in .sojourn/.

  API         {keys.url}/docs
  Temporal    http://127.0.0.1:{ports.temporal_ui}
  Sandbox     {keys.url}/sandbox
  Write key   {keys.write_key}
  Secret key  {keys.secret_key}

[bold]Try it.[/] Somebody signs up:

{curl(keys)}

The welcome mail is in the sandbox at once; pasting this again changes nothing, for it is the same sign-up.
The push comes in {day}; to see it now:

  {call} enrollments advance ada

Then: edit journeys/onboarding.py, `make check`, `make apply`. Segment libraries take {keys.url} as their host.
"""


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
