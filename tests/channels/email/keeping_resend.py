"""Resend as its page on idempotency keys describes it: a key makes one mail, and another content under it is refused."""

from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import cast

from tests.channels.provider import FakeProvider, Request, Response, provider


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/emails")
    assert request.headers["authorization"] == "Bearer re_key"
    [tag] = request.json()["tags"]
    assert tag == {"name": "sojourn_message", "value": request.headers["idempotency-key"]}
    return Response()


@dataclass
class KeepingResend(FakeProvider):
    """`script` has one word a request, the last for ever. `mails` counts what it delivers to whom."""

    script: list[str] = field(default_factory=lambda: ["ok"])
    kept: dict[str, bytes] = field(default_factory=dict)
    mails: Counter[str] = field(default_factory=Counter)

    def judged(self, request: Request) -> Response | bytes | None:
        checked = super().judged(request)
        if self.complaints:
            return checked
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        match word:
            case "cut":
                return b""
            case "throttled":
                return Response(429, b'{"name": "rate_limit_exceeded"}')
            case "under_way":
                return _conflict("concurrent_idempotent_requests")
        key = request.headers["idempotency-key"]
        if key not in self.kept:
            self.mails[request.json()["to"][0]] += 1
        if self.kept.setdefault(key, request.body) != request.body:
            return _conflict("invalid_idempotent_request")
        return {"ok": Response(200, b'{"id": "re-%s"}' % key.encode()), "take_and_500": Response(500)}.get(word, b"")

    def forget(self) -> None:
        """A day has passed: the keys are gone."""
        self.kept.clear()


def _conflict(name: str) -> Response:
    return Response(409, b'{"statusCode": 409, "name": "%s"}' % name.encode())


def keeping_resend() -> AbstractAsyncContextManager[KeepingResend]:
    return cast("AbstractAsyncContextManager[KeepingResend]", provider(accepts, make=KeepingResend))
