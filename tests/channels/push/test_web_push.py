"""Web Push, against a push service that verifies VAPID and hands what is sealed to the browser of the tests, which must read it."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from channels.base import Ambiguous, NotSent, NotVerifiable, Outgoing, Receipt, Rejected
from channels.egress import Egress
from channels.push.keys import from_base64url, point_of
from channels.push.subscription import subscription
from channels.push.web_push import WebPush, WebPushAccount
from tests.channels.certificates import make_certificate
from tests.channels.contract import Case, HttpAdapterContract, HttpRig, Told
from tests.channels.places import PLACES
from tests.channels.provider import Request, Response, provider
from tests.channels.push.browser import Browser
from tests.channels.push.keys import P256, P256_KEY
from tests.channels.push.rig import BODY, PARTS, TITLE, PushRig, push

BROWSER = Browser()
SUBJECT = "mailto:push@acme.example"


def judge_vapid(request: Request) -> None:
    """RFC 8292: the token names this origin, ends within a day, and is signed by the key beside it, which is the site's."""
    scheme, _, parameters = request.headers["authorization"].partition(" ")
    named = dict(part.strip().split("=", 1) for part in parameters.split(","))
    assert (scheme, set(named)) == ("vapid", {"t", "k"})
    assert from_base64url(named["k"]) == point_of(P256_KEY.public_key())
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(named["k"]))
    audience = f"https://{request.headers['host']}"
    claims = jwt.decode(named["t"], public, algorithms=["ES256"], audience=audience, options={"require": ["aud", "exp", "sub"]})
    assert 0 < claims["exp"] - time.time() <= 86_400
    assert claims["sub"] == SUBJECT


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/push/v1/gAAAA?x=%C3%BC")
    judge_vapid(request)
    assert request.headers["content-encoding"] == "aes128gcm"
    assert 0 <= int(request.headers["ttl"]) <= 2_419_200
    assert request.headers["urgency"] in ("very-low", "low", "normal", "high")
    assert len(request.headers["topic"]) <= 32
    assert request.headers["topic"].replace("-", "a").replace("_", "a").isalnum()
    BROWSER.read(request.body)
    return Response(201, b"", {"location": "https://push.example/m/1"})


def id_of(request: Request) -> str:
    shown = BROWSER.read(request.body)
    return str(shown["notification"]["data"]["sojourn_message"])


MISMATCH = b"the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.\n"


class TestWebPush(HttpAdapterContract):
    kinds = (("push", "web_push"),)
    has_word_for_dead = True
    page = (
        Told(Response(404, b""), Rejected, suppress=True),
        Told(Response(410, b"push subscription has unsubscribed or expired.\n"), Rejected, suppress=True),
        Told(Response(403, MISMATCH), Rejected, suppress=True),
        Told(Response(400, b'{"reason": "VapidPkHashMismatch"}'), Rejected),
        Told(Response(403, b'{"reason": "VapidPkHashMismatch"}'), Rejected, suppress=True),
        Told(Response(403, b'{"reason": "BadJwtToken"}'), NotSent),
        Told(Response(401, b'{"errno": 109}'), NotSent),
        Told(Response(413, b""), Rejected),
        Told(Response(429, b"", {"retry-after": "30"}), NotSent, retry_after_s=30),
        Told(Response(500, b""), Ambiguous),
        Told(Response(503, b""), NotSent),
    )

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[PushRig]:
        certificate = make_certificate(tmp_path, "localhost")
        async with provider(accepts, tls=certificate.server()) as found:
            account = WebPushAccount(P256, SUBJECT, found.base_url)
            here, away = WebPush(account, verify=certificate.client()), _Away(account)
            yield PushRig(found, here, away, BROWSER.subscription(f"{found.base_url}/push/v1/gAAAA?x=%C3%BC"), id_of)
            for adapter in (here, away):
                await adapter.close()

    def refusals(self, rig: HttpRig) -> Sequence[Case]:
        """RFC 8030 says of 404 and 410, and of no other, that the subscription is over."""
        return [case for case in super().refusals(rig) if case.how != "404"]

    async def test_the_browser_reads_what_was_said(self, rig: PushRig) -> None:
        more = {"image": "https://acme.example/a.png", "badge": 3, "collapse": "order-17", "priority": "high"}
        request = await rig.sent({**PARTS, **more})
        shown = BROWSER.read(request.body)
        message_id = shown["notification"]["data"].pop("sojourn_message")
        assert UUID(message_id)
        assert shown == {
            "web_push": 8030,
            "notification": {
                "title": TITLE,
                "body": BODY,
                "image": "https://acme.example/a.png",
                "navigate": PARTS["url"],
                "tag": "order-17",
                "data": {**PARTS["data"], "url": PARTS["url"]},
            },
            "app_badge": 3,
        }
        assert (request.headers["ttl"], request.headers["urgency"]) == ("3600", "high")
        assert BODY.encode() not in request.body

    async def test_what_collapses_has_one_topic_and_all_else_its_own(self, rig: PushRig) -> None:
        collapsed = [(await rig.sent({**PARTS, "collapse": "order-17"})).headers["topic"] for _ in range(2)]
        alone = [(await rig.sent(PARTS)).headers["topic"] for _ in range(2)]
        assert len({*collapsed, *alone}) == 3

    async def test_a_push_without_a_link_is_left_to_the_service_worker(self, rig: PushRig) -> None:
        shown = BROWSER.read((await rig.sent({"title": "a", "body": "b"})).body)
        assert "web_push" not in shown

    @pytest.mark.parametrize("parts", [{**PARTS, "sound": "ping"}, {"silent": True, "data": {"sync": "orders"}}])
    async def test_what_browsers_do_not_do_is_refused(self, rig: PushRig, parts: dict[str, object]) -> None:
        with pytest.raises(Rejected, match="web_push cannot say"):
            await rig.adapter.send(rig.message(parts=parts))
        assert rig.provider.requests == []

    @pytest.mark.parametrize(
        "address",
        [
            "fcm-token",
            "{}",
            "[]",
            "null",
            '{"endpoint": "https://push.example/", "keys": {}}',
            '{"endpoint": 3, "keys": {"p256dh": "", "auth": ""}}',
            Browser(secret=b"short").subscription("https://push.example/"),
            BROWSER.subscription("http://push.example/"),
            BROWSER.subscription("https://push.example/").replace('"B', '"A'),
        ],
    )
    async def test_what_is_no_subscription_is_used_no_more(self, rig: PushRig, address: str) -> None:
        with pytest.raises(Rejected) as refused:
            await rig.adapter.send(rig.message(address=address))
        assert refused.value.suppress
        assert address not in refused.value.answer

    async def test_a_vapid_key_cannot_be_judged_without_a_browser(self, rig: PushRig) -> None:
        with pytest.raises(NotVerifiable):
            await rig.verify()


class _Away(WebPush):
    """Sends to a port where nobody listens, whatever the subscription says."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        parts = outgoing.content.parts
        return await super().send(push(BROWSER.subscription("https://127.0.0.1:1/"), parts, deadline=outgoing.deadline))


async def test_a_subscription_leads_nowhere_inside() -> None:
    """The places that no call for somebody else may reach, written as subscriptions, while something listens there."""
    async with provider(accepts) as canary:
        adapter = WebPush(WebPushAccount(P256, SUBJECT))
        for place in PLACES:
            url = place.format(port=canary.port).replace("http://", "https://", 1)
            with pytest.raises((Rejected, NotSent)):
                await adapter.send(push(BROWSER.subscription(url)))
        await adapter.close()
        assert canary.requests == []


async def test_a_name_that_leads_inside_is_refused() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["203.0.113.9", "169.254.169.254"]

    adapter = WebPush(WebPushAccount(P256, SUBJECT), egress=Egress(resolve=resolve))
    with pytest.raises(Rejected, match="public"):
        await adapter.send(push(BROWSER.subscription("https://push.example/")))
    await adapter.close()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://push.example/a", "https://push.example"),
        ("https://Push.Example:443/a", "https://push.example"),
        ("https://push.example:8443/a?b#c", "https://push.example:8443"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]"),
    ],
)
def test_a_token_names_the_origin_as_browsers_write_it(url: str, origin: str) -> None:
    assert subscription(BROWSER.subscription(url)).origin == origin
