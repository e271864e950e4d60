"""`sojourn enrollments start`: let somebody into a journey, and say what came of it."""

import time
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import orjson
import typer
from rich.markup import escape

from cli.client import Client, client
from cli.console import out
from journeys.language.errors import Refused

LOOK_FOR_S = 10.0
LOOK_EVERY_S = 0.2


def start(
    journey: Annotated[str, typer.Argument(help="the journey's name")],
    user: Annotated[str, typer.Argument(help="the user's id")],
    properties: Annotated[str, typer.Option(help='what entry(...) reads, as JSON: \'{"order_id": "A-17"}\'')] = "{}",
) -> None:
    """Let somebody into a journey by hand, whatever starts it otherwise."""
    body = {"user_id": user, "properties": _object(properties)}
    with client() as sojourn:
        asked = sojourn.post(f"/v1/journeys/{journey}/enrollments", body, headers={"idempotency-key": str(uuid4())})
        found = _decided(sojourn, journey, asked["id"])
    if found["state"] == "refused":
        raise Refused(f"{user} was not let in: {found['words']} ({found['reason']})")
    if found["state"] == "waiting":
        out.print(escape(f"Asked. No worker has decided yet; later: sojourn enrollments list --user {user}"))
    else:
        out.print(escape(f"{user} entered {journey}: enrollment {found['enrollment']}"))


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Refused('--properties is no JSON object: write it like \'{"order_id": "A-17"}\'')
    return found


def _decided(sojourn: Client, journey: str, request: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + LOOK_FOR_S
    while True:
        found: Mapping[str, Any] = sojourn.get(f"/v1/journeys/{journey}/requests/{request}")
        if found["state"] != "waiting" or time.monotonic() > deadline:
            return found
        time.sleep(LOOK_EVERY_S)
