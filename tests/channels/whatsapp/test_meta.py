"""Meta's Cloud API, against a stand-in that checks the bearer and every field of both kinds of message."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from channels.base import Ambiguous, Cost, NotSent, Rejected
from channels.tariff import Tariff
from channels.whatsapp.meta import MetaAccount, MetaWhatsApp
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response
from tests.channels.sms.rig import BODY, NUMBER
from tests.channels.talking import TalkRig, Verified, talk_rig

APPROVED = {
    "name": "order_shipped",
    "language": "en_GB",
    "header": {"image": "https://shop.example/größe.png"},
    "body": {"2": "A-17", "1": "Ann 大小", "10": "last"},
    "buttons": {"1": {"payload": "stop"}, "0": {"url": "A-17"}},
}
COMPONENTS = [
    {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://shop.example/größe.png"}}]},
    {"type": "body", "parameters": [{"type": "text", "text": text} for text in ("Ann 大小", "A-17", "last")]},
    {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "A-17"}]},
    {"type": "button", "sub_type": "quick_reply", "index": "1", "parameters": [{"type": "payload", "payload": "stop"}]},
]
ENVELOPE = {"messaging_product", "recipient_type", "to", "type", "biz_opaque_callback_data"}
ANSWER = Response(
    200,
    b'{"messaging_product": "whatsapp", "contacts": [{"input": "4915112345678", "wa_id": "4915112345678"}],'
    b' "messages": [{"id": "wamid.HBgN", "message_status": "accepted"}]}',
)
PRICES = Tariff({"DE": Decimal("0.1131"), "*": Decimal("0.05")}, "EUR")


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", "/v23.0/106540352242922/messages")
    assert request.headers["authorization"] == "Bearer token"
    assert request.headers["content-type"] == "application/json"
    asked = request.json()
    assert (asked["messaging_product"], asked["recipient_type"], asked["to"]) == ("whatsapp", "individual", NUMBER.removeprefix("+"))
    assert len(asked["biz_opaque_callback_data"]) <= 512
    content = {"text": is_text, "template": is_template}[asked["type"]]
    assert set(asked) == ENVELOPE | {asked["type"]}
    content(asked[asked["type"]])
    return ANSWER


def is_text(text: Any) -> None:
    assert set(text) == {"preview_url", "body"}
    assert 1 <= len(text["body"]) <= 4096


def is_template(template: Any) -> None:
    assert set(template) == {"name", "language", "components"}
    assert set(template["language"]) == {"code"}
    assert [each["type"] for each in template["components"]] == sorted(
        (each["type"] for each in template["components"]), key=["header", "body", "button"].index
    )


def id_of(request: Request) -> str:
    return str(request.json()["biz_opaque_callback_data"])


def error(status: int, code: int) -> Response:
    told = {"message": f"(#{code}) to {NUMBER}", "type": "OAuthException", "code": code, "fbtrace_id": "A4O5"}
    return Response(status, orjson.dumps({"error": told}))


def looks(request: Request) -> None:
    assert (request.method, request.path) == ("GET", "/v23.0/106540352242922?fields=id")
    assert request.headers["authorization"] == "Bearer token"


class TestMeta(Verified, HttpAdapterContract):
    kinds = (("whatsapp", "meta"),)
    has_word_for_dead = False
    looks = staticmethod(looks)
    page = (
        Told(error(401, 0), NotSent),  # we could not be authenticated
        Told(error(500, 3), NotSent),  # a capability is missing
        Told(error(403, 10), NotSent),
        Told(error(401, 190), NotSent),  # the token has expired
        Told(error(403, 200), NotSent),
        Told(error(400, 33), NotSent),  # our number was deleted
        Told(error(403, 368), NotSent),  # blocked for policy violations
        Told(error(403, 131031), NotSent),  # the account is locked
        Told(error(400, 131042), NotSent),  # payment
        Told(error(500, 131045), NotSent),  # our number is not registered
        Told(error(500, 131057), NotSent),  # the account is in maintenance
        Told(error(400, 133010), NotSent),
        Told(error(400, 4), NotSent),  # too many calls
        Told(error(400, 80007), NotSent),
        Told(error(400, 130429), NotSent),  # throughput
        Told(error(400, 131048), NotSent),  # spam limit of our number
        Told(error(400, 131056), NotSent),  # this pair of numbers
        Told(Response(429, error(429, 131056).body, {"retry-after": "6"}), NotSent, retry_after_s=6),
        Told(error(503, 2), NotSent),
        Told(error(400, 1), Ambiguous),  # "or possible server error"
        Told(error(500, 131000), Ambiguous),
        Told(error(500, 131016), Ambiguous),
        Told(error(400, 131026), Rejected),  # undeliverable: not on WhatsApp, or an old app
        Told(error(400, 131047), Rejected),  # more than 24 hours
        Told(error(400, 131049), Rejected),  # held back for the person's sake
        Told(error(400, 131050), Rejected),  # they stopped our marketing
        Told(error(400, 130472), Rejected),
        Told(error(400, 100), Rejected),
        Told(error(400, 131008), Rejected),
        Told(error(400, 131021), Rejected),
        Told(error(400, 132000), Rejected),  # a wrong number of variables
        Told(error(404, 132001), Rejected),  # no such template in this language
        Told(error(400, 132007), Rejected),
        Told(error(400, 132012), Rejected),
        Told(error(400, 132015), Rejected),  # paused
        Told(error(400, 132016), Rejected),  # disabled
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[TalkRig]:
        def make(url: str) -> MetaWhatsApp:
            return MetaWhatsApp(MetaAccount("106540352242922", "token", base_url=url), PRICES)

        async with talk_rig(make, accepts, id_of, {"template": APPROVED}, {"text": "x" * 4097}) as rig:
            yield rig

    async def test_each_part_of_a_template_becomes_its_component(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message())
        [request] = rig.provider.requests
        template = request.json()["template"]
        assert (template["name"], template["language"], template["components"]) == ("order_shipped", {"code": "en_GB"}, COMPONENTS)

    async def test_variables_with_names_go_by_their_names(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"template": {"name": "a", "language": "en", "body": {"first_name": "Ann"}}}))
        [request] = rig.provider.requests
        [body] = request.json()["template"]["components"]
        assert body["parameters"] == [{"type": "text", "parameter_name": "first_name", "text": "Ann"}]

    async def test_a_free_text_goes_as_it_is(self, rig: TalkRig) -> None:
        await rig.adapter.send(rig.message({"text": BODY}))
        [request] = rig.provider.requests
        assert request.json()["text"] == {"preview_url": False, "body": BODY}

    async def test_a_template_costs_what_its_country_costs_and_an_answer_nothing(self, rig: TalkRig) -> None:
        assert (await rig.adapter.send(rig.message())).cost == Cost(1, Decimal("0.1131"), "EUR")
        assert (await rig.adapter.send(rig.message({"text": "Hello"}))).cost == Cost(1)

    @pytest.mark.parametrize(
        "parts",
        [
            {},
            {"text": "  "},
            {"template": {**APPROVED, "body": {"1": " \n"}}},
            {"template": {**APPROVED, "header": {"image": "http://shop.example/a.png"}}},
            {"template": {"body": {"1": "Ann"}}},
        ],
    )
    async def test_what_meta_would_refuse_is_not_asked_of_it(self, rig: TalkRig, parts: dict[str, Any]) -> None:
        with pytest.raises(Rejected):
            await rig.adapter.send(rig.message(parts or {"neither": 1}))
        assert rig.provider.requests == []
