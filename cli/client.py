"""How commands speak to Sojourn over HTTP: the URL, the key, and errors as words."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from cli.local_keys import read_keys
from journeys.language.errors import Conflict, Invalid, NotFound, Problem, Refused, Unavailable

TIMEOUT_S = 30.0
# A large file is unpacked and written down before it is answered.
UPLOAD_S = 3600.0


class Client:
    """One Sojourn. Each method gives the JSON of a good answer and raises what a bad one means."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._ask("POST", path, json={} if body is None else body, headers=headers)

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, json=body)

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def upload(self, path: str, content: Iterator[bytes], **query: Any) -> Any:
        """Post a file as it is, piece by piece."""
        return self._ask(
            "POST", path, content=content, params=query, headers={"content-type": "application/octet-stream"}, timeout=UPLOAD_S
        )

    def download(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, as they come."""
        try:
            with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._http.base_url} did not answer to the end ({type(error).__name__})") from error

    def pages(self, path: str, most: int, **query: Any) -> Iterator[Any]:
        """The first `most` items of a list, page after page."""
        cursor = None
        while most > 0:
            page = self.get(path, limit=min(most, 200), cursor=cursor, **query)
            yield from page["items"]
            most -= len(page["items"])
            cursor = page.get("next")
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **parts: Any) -> Any:
        try:
            answer = self._http.request(method, path, **parts)
        except httpx.ConnectError as error:
            raise Unavailable(f"nobody listens at {self._http.base_url}: start it with `make dev`, or set SOJOURN_URL") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._http.base_url} did not answer ({type(error).__name__})") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _error(answer)


@contextmanager
def client() -> Iterator[Client]:
    """Connect to SOJOURN_URL with SOJOURN_KEY; without them, to the Sojourn that `make dev` runs in this folder."""
    local = read_keys()
    url = os.environ.get("SOJOURN_URL") or (local.url if local else "http://127.0.0.1:8080")
    key = os.environ.get("SOJOURN_KEY") or (local.secret_key if local else "")
    if not key:
        raise Refused("there is no key: set SOJOURN_KEY to a secret key (`sojourn keys create secret`), or run this where `make dev` runs")
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT_S) as http:
        yield Client(http)


def _error(answer: httpx.Response) -> Exception:
    try:
        told = answer.json()
    except ValueError:
        told = {}
    words = told.get("detail") or told.get("message") or f"the answer was HTTP {answer.status_code}"
    match answer.status_code:
        case 404:
            return NotFound(_missing(answer.request.url.path))
        case 409:
            return Conflict(words)
        case 422 if told.get("errors"):
            return Invalid([Problem(e["pointer"], e["code"], e.get("message", "")) for e in told["errors"]])
        case 401:
            return Refused("the key is not known here: check SOJOURN_KEY")
        case 429 | 502 | 503 | 504:
            return Unavailable(words)
        case _:
            return Refused(f"{words} (request {told.get('request_id', answer.headers.get('x-request-id', '?'))})")


def _missing(path: str) -> str:
    """Say what is not there: every path is /v1/<nouns>/<name>/..., and httpx gives it decoded."""
    _, _, nouns, *rest = [*path.split("/"), "", ""]
    name = next((part for part in rest if part), "")
    match nouns, rest:
        case "providers", [channel, account, *_] if account:
            return f"there is no {channel} account {account} in this app: `sojourn providers list` shows those that are set"
        case "suppressions", [channel, suppression, *_] if suppression:
            return f"there is no {channel} suppression {suppression} in this app: `sojourn suppressions list` shows their ids"
        case "journeys", [journey, "schedule", *_]:
            return f"no journey {journey} of this app ever started by the clock: `sojourn journeys show {journey}` says how it starts"
    noun = {"unclear-replies": "reply in doubt with number"}.get(nouns, nouns.removesuffix("s"))
    if not name:
        return f"this Sojourn has no {path}: is it older than this command?"
    hint = ", or nothing was heard of them yet" if noun == "user" else ""
    return f"there is no {noun} {name} in this app: check the name or id{hint}"
