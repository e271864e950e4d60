"""A campaign from the call that launches it to the mail server, over real processes, of which a worker dies in the middle."""

import time
from typing import Any

import httpx
import orjson
import pytest

from journeys.language import email, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_to_json, condition_to_json
from tests.crash.errands import TEMPLATES
from tests.crash.stack import Stack, running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

PEOPLE = 120
GOLD = [f"person-{number}" for number in range(PEOPLE) if number % 4]
LEFT = GOLD[7]
OVER_WITHIN_S = 180.0


def test_a_launched_campaign_reaches_everybody_once_though_a_worker_dies_in_the_middle() -> None:
    with running() as stack, _client(stack) as http:
        _tell_of_people(stack, http)
        _put(http, "/v1/segments/golden", {"condition": orjson.loads(condition_to_json(trait("plan") == "gold"))})
        _put(http, "/v1/campaigns/news", {"definition": orjson.loads(campaign_to_json(Campaign("news", "golden", email("greeting"))))})
        hold = stack.mails / "hold"
        hold.touch()
        assert http.post("/v1/campaigns/news/launch", json={}).json()["state"] == "running"
        wait_for(lambda: bool(_mailed(stack)), OVER_WITHIN_S)
        stack.kill("worker")
        hold.unlink()
        stack.start("worker")
        run, mailed = _until_over(http), _mailed(stack)
    assert len(mailed) == len(set(mailed)), "nobody is written to twice"
    assert run["skipped"] == {"unsubscribed": 1}
    told = {each["state"]: each["messages"] for each in run["outcomes"] if each["state"] in ("sent", "unknown")}
    assert sum(told.values()) == run["planned"] - 1 == len(GOLD) - 1, "everybody is accounted for"
    assert set(mailed) <= {f"{user}@example.com" for user in GOLD if user != LEFT}
    assert told["sent"] <= len(mailed) <= len(GOLD) - 1


def _client(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.secret_key}"}, timeout=30)


def _tell_of_people(stack: Stack, http: httpx.Client) -> None:
    stack.publish((), TEMPLATES)
    traits = [{"email": f"person-{n}@example.com", "plan": "gold" if n % 4 else "free"} for n in range(PEOPLE)]
    calls = [{"type": "identify", "userId": f"person-{n}", "messageId": f"id-{n}", "traits": each} for n, each in enumerate(traits)]
    assert httpx.post(f"{stack.url}/v1/batch", auth=(stack.write_key, ""), json={"batch": calls}, timeout=30).json()["success"]
    withdrawn = {"channel": "email", "topic": "general", "state": "withdrawn"}
    assert http.post(f"/v1/users/{LEFT}/consents", json=withdrawn).is_success


def _put(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    answer = http.put(path, json=body)
    assert answer.is_success, answer.text


def _mailed(stack: Stack) -> list[str]:
    return [line["to"] for line in stack.mail_lines() if line["told"] == "taken"]


def _until_over(http: httpx.Client) -> dict[str, Any]:
    """Wait until the only run is finished, and return how far it came."""
    deadline = time.monotonic() + OVER_WITHIN_S
    while True:
        [run] = http.get("/v1/campaigns/news/runs").json()["items"]
        if run["state"] == "finished":
            found: dict[str, Any] = http.get(f"/v1/campaigns/news/runs/{run['id']}").json()
            return found
        assert time.monotonic() < deadline, run
        time.sleep(0.2)
