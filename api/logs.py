"""One structured log line for each request, with an id that the caller is told too; no address, attribute, key or query is ever in it."""

import re
import time
import traceback
from pathlib import Path
from uuid import uuid4

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import UNEXPECTED, problem
from api.metrics import REQUEST_SECONDS

_HOUSE = Path(__file__).resolve().parents[1]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

log = structlog.get_logger()


def frames_of(error: BaseException) -> list[str]:
    """Where an error came from in our own files, and last of all; without its words: a database's words repeat the values of the row."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if Path(frame.filename).is_relative_to(_HOUSE) and "site-packages" not in frame.filename]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in [*ours, *frames[-1:]]]


class RequestLog:
    """Gives each request its id, times it, logs it, and turns what nobody expected into a 500 that says nothing of the inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at = time.perf_counter()
        request = Request(scope, receive)
        request.state.request_id = _id_of(request)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = {"x-request-id": request.state.request_id, **getattr(request.state, "headers", {})}
                message["headers"] = [*message.get("headers", []), *((k.lower().encode(), v.encode()) for k, v in told.items())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the outermost place: the caller gets a problem, the log says where it came from
            # Not log.exception: a traceback's last line repeats the error's words, and with them a row's values.
            log.error(  # noqa: TRY400
                "unexpected", error=type(error).__name__, frames=frames_of(error), request_id=request.state.request_id
            )
            if not status:
                await problem(request, UNEXPECTED)(scope, receive, send_with_id)
        finally:
            _note(request, status, time.perf_counter() - began_at)


def _id_of(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _note(request: Request, status: int, seconds: float) -> None:
    route = getattr(request.scope.get("route"), "path", "none")
    REQUEST_SECONDS.labels(request.method, route, str(status)).observe(seconds)
    log.info(
        "request",
        method=request.method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        request_id=request.state.request_id,
    )
