"""FCM HTTP v1, against a stand-in over HTTP/2 that verifies the signed exchange for an access token and every member of a message."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
import orjson
import pytest

from channels.base import Ambiguous, NotSent, Rejected, SendFailed
from channels.push.fcm import Fcm, FcmAccount, ServiceAccount
from tests.channels.certificates import make_certificate
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.http2 import Http2Provider
from tests.channels.provider import Request, Response, provider
from tests.channels.push.keys import RSA_KEY, SERVICE_ACCOUNT
from tests.channels.push.rig import BODY, PARTS, TITLE, PushRig

TOKEN = "dGVzdA:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
ANDROID, IPHONE, BROWSER = {"type": "android"}, {"type": "ios"}, {"type": "web"}


def exchange(request: Request) -> Response:
    """Google's token endpoint (RFC 7523): the assertion is verified with the public key of the account."""
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    form = dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True))
    assert set(form) == {"grant_type", "assertion"}
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert jwt.get_unverified_header(form["assertion"]) == {"alg": "RS256", "typ": "JWT", "kid": "f00d"}
    claims = jwt.decode(form["assertion"], RSA_KEY.public_key(), algorithms=["RS256"], audience="https://oauth2.googleapis.com/token")
    assert claims["iss"] == "push@acme-shop.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    return Response(200, b'{"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"}')


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v1/projects/acme-shop/messages:send")
    assert request.headers["authorization"] == "Bearer ya29.token"
    assert set(request.json()) == {"message"}
    message = request.json()["message"]
    assert set(message) - {"notification", "android", "apns", "webpush"} == {"token", "data"}
    assert message["token"] == TOKEN
    assert all(isinstance(value, str) for value in message["data"].values())
    assert set(message.get("notification", {})) <= {"title", "body", "image"}
    assert set(message.get("android", {})) <= {"priority", "ttl", "collapse_key", "notification"}
    return Response(200, b'{"name": "projects/acme-shop/messages/0:1500415314455276%31bd1c9631bd1c96"}')


def error(status: int, word: str, code: str | None = None, field: str | None = None, **headers: str) -> Response:
    details: list[Mapping[str, Any]] = []
    if code:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    if field:
        violation = {"field": field, "description": f"Invalid value for {TOKEN}"}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    told = {"error": {"code": status, "message": "Requested entity was not found.", "status": word, "details": details}}
    return Response(status, orjson.dumps(told), dict(headers))


class TestFcm(HttpAdapterContract):
    kinds = (("push", "fcm"),)
    has_word_for_dead = True
    page = (
        Told(error(404, "NOT_FOUND", "UNREGISTERED"), Rejected, suppress=True),
        Told(error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Rejected, suppress=True),
        Told(error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"), Rejected, suppress=True),
        Told(error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), Rejected),
        Told(error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.data[0].value"), Rejected),
        Told(error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), NotSent),
        Told(error(401, "UNAUTHENTICATED"), NotSent),
        Told(error(403, "PERMISSION_DENIED"), NotSent),
        Told(error(404, "NOT_FOUND"), Rejected),
        Told(error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), NotSent),
        Told(Response(429, error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED").body, {"retry-after": "60"}), NotSent, retry_after_s=60),
        Told(error(503, "UNAVAILABLE", "UNAVAILABLE"), NotSent),
        Told(error(500, "INTERNAL", "INTERNAL"), Ambiguous),
    )

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[PushRig]:
        certificate = make_certificate(tmp_path, "localhost")
        async with provider(accepts, tls=certificate.server("h2"), make=Http2Provider) as found:
            found.beside["/token"] = exchange
            here, away = (
                Fcm(FcmAccount(SERVICE_ACCOUNT, url), verify=certificate.client()) for url in (found.base_url, "https://127.0.0.1:1")
            )
            yield PushRig(found, here, away, TOKEN, lambda request: request.json()["message"]["data"]["sojourn_message"])
            for adapter in (here, away):
                await adapter.close()

    async def test_one_access_token_serves_many_sends_at_once(self, rig: PushRig) -> None:
        await asyncio.gather(*(rig.adapter.send(rig.message()) for _ in range(20)))
        assert len(rig.provider.requests_beside) == 1

    async def test_a_token_that_google_takes_no_more_is_renewed_and_the_message_leaves(self, rig: PushRig) -> None:
        await rig.adapter.send(rig.message())
        rig.provider.beside["/token"] = lambda _: Response(200, b'{"access_token": "ya29.new", "expires_in": 3599}')

        def only_new(request: Request) -> Response:
            is_new = request.headers["authorization"] == "Bearer ya29.new"
            return Response(200, b'{"name": "projects/acme-shop/messages/1"}') if is_new else error(401, "UNAUTHENTICATED")

        rig.provider.accepts = only_new
        await rig.adapter.send(rig.message())
        assert [request.headers["authorization"] for request in rig.provider.requests[1:]] == ["Bearer ya29.token", "Bearer ya29.new"]

    @pytest.mark.parametrize(
        "answer",
        [
            Response(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'),
            Response(200, b"<html>"),
            Response(200, b'{"access_token": "", "expires_in": 3599}'),
            Response(200, b'{"access_token": "a", "expires_in": "soon"}'),
            Response(500, b""),
        ],
    )
    async def test_without_an_access_token_nothing_has_left(self, rig: PushRig, answer: Response) -> None:
        rig.provider.beside["/token"] = lambda _: answer
        with pytest.raises(NotSent, match="no access token"):
            await rig.adapter.send(rig.message())
        assert rig.provider.requests == []

    async def test_every_field_has_its_place_on_android(self, rig: PushRig) -> None:
        more = {"image": "https://acme.example/a.png", "badge": 3, "sound": "ping", "collapse": "order-17", "priority": "high"}
        message = (await rig.sent({**PARTS, **more}, device=ANDROID)).json()["message"]
        assert message["notification"] == {"title": TITLE, "body": BODY, "image": "https://acme.example/a.png"}
        shown = {"sound": "ping", "notification_count": 3, "tag": "order-17"}
        assert message["android"] == {"priority": "high", "ttl": "3600s", "collapse_key": "order-17", "notification": shown}
        assert message["data"].pop("sojourn_message")
        assert message["data"] == {**PARTS["data"], "url": PARTS["url"]}
        assert "apns" not in message

    async def test_a_double_takes_the_place_of_the_first_and_costs_no_collapse_key(self, rig: PushRig) -> None:
        message = (await rig.sent({"title": "a", "body": "b"}, device=ANDROID)).json()["message"]
        assert message["android"] == {"notification": {"tag": message["data"]["sojourn_message"]}}

    async def test_a_silent_push_is_data_alone(self, rig: PushRig) -> None:
        message = (await rig.sent({"silent": True, "data": {"sync": "orders"}}, device=ANDROID)).json()["message"]
        assert "notification" not in message
        assert message["android"] == {}
        assert message["data"]["sync"] == "orders"

    async def test_apples_devices_get_apples_words_through_firebase(self, rig: PushRig) -> None:
        more = {"image": "https://acme.example/a.png", "badge": 3, "sound": "ping.caf", "ttl": 0}
        message = (await rig.sent({**PARTS, **more}, device=IPHONE)).json()["message"]
        headers = message["apns"]["headers"]
        assert headers.pop("apns-collapse-id") == message["data"]["sojourn_message"]
        assert headers == {"apns-push-type": "alert", "apns-priority": "10", "apns-expiration": "0"}
        assert message["apns"]["payload"] == {"aps": {"badge": 3, "sound": "ping.caf", "mutable-content": 1}}
        assert message["apns"]["fcm_options"] == {"image": "https://acme.example/a.png"}
        assert "android" not in message

    async def test_browsers_get_their_words_and_no_sound(self, rig: PushRig) -> None:
        message = (await rig.sent({**PARTS, "url": "https://acme.example/"}, device=BROWSER)).json()["message"]
        assert message["webpush"]["headers"] == {"TTL": "3600"}
        assert message["webpush"]["fcm_options"] == {"link": "https://acme.example/"}
        with pytest.raises(Rejected, match=r"sound \(the browser chooses it\)"):
            await rig.adapter.send(rig.message(parts={**PARTS, "sound": "ping"}, device=BROWSER))

    async def test_an_account_that_works_is_verified_without_a_message(self, rig: PushRig) -> None:
        def validates(request: Request) -> Response:
            assert request.json()["validate_only"] is True
            return error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token")

        rig.provider.accepts = validates
        await rig.verify()

    @pytest.mark.parametrize("answer", [error(403, "PERMISSION_DENIED"), error(404, "NOT_FOUND"), error(500, "INTERNAL")])
    async def test_an_account_that_may_not_send_is_told(self, rig: PushRig, answer: Response) -> None:
        rig.provider.accepts = lambda _: answer
        with pytest.raises(SendFailed):
            await rig.verify()

    async def test_a_payload_is_measured_without_the_token_and_what_surrounds_it(self, rig: PushRig) -> None:
        fits = {"title": "a", "body": "b", "data": {"x": "y" * 3_900}}
        await rig.adapter.send(rig.message(parts=fits))
        with pytest.raises(Rejected, match="4,096"):
            await rig.adapter.send(rig.message(parts={**fits, "data": {"x": "y" * 4_096}}))


@pytest.mark.parametrize(
    "file", ["", "{}", "[]", "null", '{"private_key": 3}', SERVICE_ACCOUNT.replace("BEGIN", "BEGUN"), SERVICE_ACCOUNT[:-2]]
)
def test_a_key_file_that_is_none_is_refused_without_its_content(file: str) -> None:
    with pytest.raises(ValueError, match="JSON key file") as refused:
        ServiceAccount.read(file)
    assert "PRIVATE" not in str(refused.value)
