"""APNs, against a stand-in over HTTP/2 that verifies our token, its age, and every header."""

import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from channels.base import Ambiguous, NotSent, Rejected
from channels.push import apns
from channels.push.apns import Apns, ApnsAccount
from tests.channels.certificates import make_certificate
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.http2 import Http2Provider
from tests.channels.provider import Request, Response, provider
from tests.channels.push.keys import P256, P256_KEY
from tests.channels.push.rig import BODY, PARTS, TITLE, PushRig

TOKEN = "a1b2c3d4" * 8
TOPIC = "example.acme.shop"
PUSH_TYPES = {"alert": "10", "background": "5"}


def bearer_of(request: Request) -> str:
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert scheme == "bearer"
    return token


def judge_token(token: str) -> None:
    head = jwt.get_unverified_header(token)
    assert (head["alg"], head["kid"]) == ("ES256", "ABC123DEFG")
    claims = jwt.decode(token, P256_KEY.public_key(), algorithms=["ES256"], options={"require": ["iss", "iat"]})
    assert set(claims) == {"iss", "iat"}
    assert claims["iss"] == "DEF123GHIJ"
    age = time.time() - claims["iat"]
    assert 0 <= age < 3600, "a token is dated in the past and younger than an hour"


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", f"/3/device/{TOKEN}")
    judge_token(bearer_of(request))
    headers = request.headers
    assert headers["apns-topic"] == TOPIC
    assert headers["apns-priority"] in ("5", PUSH_TYPES[headers["apns-push-type"]])
    assert len(headers["apns-collapse-id"].encode()) <= 64
    assert len(request.body) <= 4096
    payload = request.json()
    assert isinstance(payload["aps"], dict)
    if headers["apns-push-type"] == "background":
        assert payload["aps"] == {"content-available": 1}
    return Response(200, b"", {"apns-id": headers["apns-id"].upper()})


def error(status: int, reason: str, **more: Any) -> Response:
    told = ", ".join([f'"reason": "{reason}"', *(f'"{name}": {value}' for name, value in more.items())])
    return Response(status, f"{{{told}}}".encode(), {"apns-id": "EC1BF194-B3B2-424A-89B9-5A918A6E6B5D"})


class TestApns(HttpAdapterContract):
    kinds = (("push", "apns"),)
    has_word_for_dead = True
    page = (
        Told(error(400, "BadDeviceToken"), Rejected, suppress=True),
        Told(error(400, "DeviceTokenNotForTopic"), Rejected, suppress=True),
        Told(error(410, "Unregistered", timestamp=1700000000000), Rejected, suppress=True),
        Told(error(410, "ExpiredToken", timestamp=1700000000000), Rejected, suppress=True),
        Told(error(400, "BadExpirationDate"), Rejected),
        Told(error(400, "PayloadEmpty"), Rejected),
        Told(error(400, "BadTopic"), NotSent),
        Told(error(400, "TopicDisallowed"), NotSent),
        Told(error(403, "ExpiredProviderToken"), NotSent),
        Told(error(403, "InvalidProviderToken"), NotSent),
        Told(error(404, "BadPath"), Rejected),
        Told(error(413, "PayloadTooLarge"), Rejected),
        Told(error(429, "TooManyProviderTokenUpdates"), NotSent),
        Told(error(429, "TooManyRequests"), NotSent),
        Told(error(500, "InternalServerError"), Ambiguous),
        Told(error(503, "ServiceUnavailable"), NotSent),
        Told(error(503, "Shutdown"), NotSent),
    )

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[PushRig]:
        certificate = make_certificate(tmp_path, "localhost")
        async with provider(accepts, tls=certificate.server("h2"), make=Http2Provider) as found:
            here, away = (Apns(account(url), verify=certificate.client()) for url in (found.base_url, "https://127.0.0.1:1"))
            yield PushRig(found, here, away, TOKEN, lambda request: request.headers["apns-id"])
            for adapter in (here, away):
                await adapter.close()

    async def test_many_pushes_share_one_connection(self, rig: PushRig) -> None:
        await self.test_many_at_once_arrive_once_each(rig)
        assert isinstance(rig.provider, Http2Provider)
        assert rig.provider.connections == 1

    async def test_what_apple_says_that_it_has_not_read_is_sent_once_over_a_new_connection(self, rig: PushRig) -> None:
        assert isinstance(rig.provider, Http2Provider)
        rig.provider.last_stream = 1
        messages = [rig.message() for _ in range(2)]
        for message in messages:
            await rig.adapter.send(message)
        assert await rig.arrived() == [str(message.message_id) for message in messages]
        assert rig.provider.connections == 2

    async def test_every_field_has_its_place(self, rig: PushRig) -> None:
        everything = {**PARTS, "image": "https://acme.example/a.png", "badge": 3, "sound": "ping.caf", "collapse": "order-17", "ttl": 60}
        request = await rig.sent({**everything, "priority": "normal"})
        payload = request.json()
        shown = {"alert": {"title": TITLE, "body": BODY}, "badge": 3, "sound": "ping.caf", "mutable-content": 1}
        assert payload.pop("aps") == shown
        assert payload.pop("sojourn_message") == request.headers["apns-id"]
        assert payload == {**PARTS["data"], "url": PARTS["url"], "image": "https://acme.example/a.png"}
        assert (request.headers["apns-collapse-id"], request.headers["apns-priority"]) == ("order-17", "5")
        assert abs(int(request.headers["apns-expiration"]) - time.time() - 60) < 30

    async def test_what_has_no_time_to_live_is_now_or_never_and_without_one_it_is_apples_to_say(self, rig: PushRig) -> None:
        assert (await rig.sent({**PARTS, "ttl": 0})).headers["apns-expiration"] == "0"
        assert "apns-expiration" not in (await rig.sent({"title": "a", "body": "b"})).headers

    async def test_a_double_is_shown_once(self, rig: PushRig) -> None:
        request = await rig.sent({"title": "a", "body": "b"})
        assert request.headers["apns-collapse-id"] == request.headers["apns-id"]

    async def test_a_silent_push_wakes_the_app_and_shows_nothing(self, rig: PushRig) -> None:
        request = await rig.sent({"silent": True, "data": {"sync": "orders"}})
        assert (request.headers["apns-push-type"], request.headers["apns-priority"]) == ("background", "5")
        assert request.json()["sync"] == "orders"

    async def test_a_silent_push_that_is_urgent_is_refused_and_not_made_less_urgent(self, rig: PushRig) -> None:
        with pytest.raises(Rejected, match="priority"):
            await rig.adapter.send(rig.message(parts={"silent": True, "priority": "high"}))
        assert (await rig.sent({"silent": True, "priority": "high", "optional": ["priority"]})).headers["apns-priority"] == "5"

    async def test_a_dead_device_is_dead_since_the_moment_that_apple_names(self, rig: PushRig) -> None:
        rig.provider.answer = error(410, "Unregistered", timestamp=1700000000123)
        with pytest.raises(Rejected) as refused:
            await rig.adapter.send(rig.message())
        assert refused.value.dead_since == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)

    @pytest.mark.parametrize("timestamp", ['"soon"', "-1", "1e99", "99999999999999999999"])
    async def test_a_moment_that_makes_no_sense_is_none(self, rig: PushRig, timestamp: str) -> None:
        rig.provider.answer = error(410, "Unregistered", timestamp=timestamp)
        with pytest.raises(Rejected) as refused:
            await rig.adapter.send(rig.message())
        assert refused.value.dead_since is None

    async def test_an_account_that_works_is_verified_without_a_message(self, rig: PushRig) -> None:
        rig.provider.accepts = no_such_device
        await rig.verify()

    async def test_an_account_that_apple_refuses_is_told(self, rig: PushRig) -> None:
        rig.provider.accepts = no_such_device
        rig.provider.answer = error(403, "InvalidProviderToken")
        with pytest.raises(NotSent, match="InvalidProviderToken"):
            await rig.verify()


def no_such_device(request: Request) -> Response:
    assert request.path == f"/3/device/{'0' * 64}"
    assert request.headers["apns-push-type"] == "background"
    judge_token(bearer_of(request))
    return error(400, "BadDeviceToken")


def account(url: str = "") -> ApnsAccount:
    return ApnsAccount("ABC123DEFG", "DEF123GHIJ", TOPIC, P256, base_url=url)


def test_one_token_serves_forty_minutes_in_every_process_and_is_never_an_hour_old(monkeypatch: pytest.MonkeyPatch) -> None:
    start = 1_700_000_000
    adapter = Apns(account())
    issued = []
    for minute in range(180):
        moment = start + 60 * minute
        monkeypatch.setattr(apns, "datetime", _At(moment))
        token = adapter._token()
        claims = jwt.decode(token, options={"verify_signature": False})
        assert 0 < moment - claims["iat"] < 3600
        issued.append((claims["iat"], token))
    changes = sorted({iat for iat, _ in issued})
    assert all(later - earlier >= 1200 for earlier, later in itertools.pairwise(changes))
    assert len({token for _, token in issued}) == len(changes)


class _At:
    def __init__(self, at: int) -> None:
        self._at = at

    def now(self, zone: Any) -> datetime:
        return datetime.fromtimestamp(self._at, zone)
