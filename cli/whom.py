"""Whom a command means: one enrollment by its id or its user, or many by what they have in common."""

import re
from contextlib import suppress
from typing import Annotated

import typer

from cli.client import Client
from journeys.language.errors import NotFound, Refused

_UUID = re.compile(r"[0-9a-fA-F-]{36}")
Which = Annotated[str, typer.Argument(help="the enrollment's id, or a user id who is in one journey")]
Version = Annotated[int | None, typer.Option(min=1, help="only those in this version")]
Key = Annotated[str | None, typer.Option(help="only those with this value of the journey's key")]
Since = Annotated[str | None, typer.Option(help="only those that started at or after this moment, such as 2026-11-23T08:00:00Z")]
Until = Annotated[str | None, typer.Option(help="only those that started before this moment")]
Held = Annotated[bool | None, typer.Option("--held/--not-held", help="only those whose message waits because sending is paused")]
LastStep = Annotated[str | None, typer.Option(help="only those of whose steps this came to something last")]


def id_of(sojourn: Client, which: str, journey: str | None = None) -> str:
    """An enrollment's id as it is; a user id stands for the one journey that this user is in."""
    if _UUID.fullmatch(which):
        # Many apps name their users by UUIDs too.
        with suppress(NotFound):
            return str(sojourn.get(f"/v1/enrollments/{which}")["id"])
    found = [each for each in sojourn.pages("/v1/enrollments", 200, user_id=which, journey=journey) if each["state"] != "closed"]
    if not found:
        raise NotFound(f"{which} is in no journey at present")
    if len(found) > 1:
        listed = "\n".join(f"  {each['id']}  {each['journey']}" for each in found)
        raise Refused(f"{which} is in several journeys; name one by its id:\n{listed}")
    return str(found[0]["id"])
