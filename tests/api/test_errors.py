import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field

from api import errors
from api.errors import ANSWERS, Forbidden, Malformed, TooLarge, Unauthenticated, UnsupportedMediaType
from api.logs import RequestLog
from journeys.language.errors import Conflict, Invalid, NotFound, Problem, Refused, SojournError, Unavailable

VALUE = "somebody@example.com"


class Body(BaseModel):
    email: str = Field(max_length=3)
    count: int = 0


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(RequestLog)

    @app.post("/body")
    async def body(body: Body, limit: int = 1) -> None: ...

    return app


@pytest.fixture
async def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn")


def raising(app: FastAPI, error: Exception) -> None:
    @app.get("/raises")
    async def raises() -> None:
        raise error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Malformed("not JSON"), 400, "malformed"),
        (Unauthenticated(), 401, "unauthenticated"),
        (Forbidden("a secret key is needed"), 403, "forbidden"),
        (NotFound("x"), 404, "not_found"),
        (Conflict("it has ended"), 409, "conflict"),
        (TooLarge("500 KB at most"), 413, "too_large"),
        (UnsupportedMediaType("JSON only"), 415, "unsupported_media_type"),
        (Invalid([Problem("/a", "too_long")]), 422, "invalid"),
        (Refused("no"), 422, "refused"),
        (Unavailable("away"), 503, "unavailable"),
        (SojournError("a fact of the inside"), 500, "unexpected"),  # not in the table: says nothing
    ],
)
async def test_each_error_has_its_status(app: FastAPI, client: httpx.AsyncClient, error: SojournError, status: int, code: str) -> None:
    raising(app, error)
    answer = await client.get("/raises")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "inside" not in answer.text


def test_every_refusal_of_the_tree_is_in_the_table() -> None:
    assert {Refused, *Refused.__subclasses__()} <= set(ANSWERS)


async def test_an_invalid_body_names_place_and_rule_and_never_the_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body", json={"email": VALUE, "count": VALUE}, params={"limit": VALUE})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"in": "query", "pointer": "/limit", "code": "int_parsing"},
        {"pointer": "/email", "code": "string_too_long"},
        {"pointer": "/count", "code": "int_parsing"},
    ]
    assert "example.com" not in answer.text


@pytest.mark.parametrize("content", [b"", b"{", VALUE.encode()])
async def test_what_is_no_json_is_400(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post("/body", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "example.com" not in answer.text


async def test_unavailable_says_when_to_come_back(app: FastAPI, client: httpx.AsyncClient) -> None:
    raising(app, Unavailable("away", retry_after_s=10))
    waits = {int((await client.get("/raises")).headers["retry-after"]) for _ in range(30)}
    assert min(waits) >= 10
    assert max(waits) <= 20
    assert len(waits) > 3


async def test_what_nobody_expected_is_a_500_without_details(
    app: FastAPI, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(app, RuntimeError(VALUE))
    answer = await client.get("/raises")
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "example.com" not in answer.text + capsys.readouterr().out


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nowhere")).json()["code"] == "not_found"
    answer = await client.get("/body")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


async def test_a_pointer_escapes_as_rfc_6901_says() -> None:
    assert errors.pointer(["a/b", "c~d", 0]) == "/a~1b/c~0d/0"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("order-4711.retry_1", True), ("short", False), ("with space and\ttab", False), ("x" * 65, False)],
)
async def test_a_well_formed_request_id_of_the_caller_is_kept(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    answer = await client.get("/nowhere", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is kept
