"""What the kill run runs: three journeys of seconds, their templates, and the calls that put people into them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from journeys.language import Journey, Send, Wait, WaitFor, email, event, hours, push, seconds, sms
from journeys.language.messages import MessageClass

PEOPLE_A_CALL = 10
_MAIL = {"template.toml": 'from = "Demo <demo@example.com>"\n', "body.txt": "Hello. Leave: {{ links.unsubscribe | default('') }}\n"}
TEMPLATES = {
    "greeting": {**_MAIL, "subject.txt": "greeting"},
    "thanks": {**_MAIL, "subject.txt": "thanks"},
    "nudge": {"template.toml": "", "push.toml": 'title = "nudge"\nbody = "Look"\n'},
    "offer": {"template.toml": "", "sms.txt": "offer"},
}


def _with_offer(name: str, starts_on: str, message_class: MessageClass) -> Journey:
    return Journey(
        name,
        starts_on=event(starts_on),
        message_class=message_class,
        steps=[
            Send("greet", email("greeting")),
            Wait("breathe", seconds(1)),
            Send("nudge", push("nudge")),
            WaitFor(
                "bought",
                event("order_placed"),
                since="entry",
                within=seconds(2),
                then=[Send("thank", email("thanks"))],
                otherwise=[Send("offer", sms("offer"))],
            ),
        ],
    )


ERRAND = _with_offer("errand", "errand_run", "marketing")
NOTICE = _with_offer("notice", "notice_given", "transactional")
PARCEL = Journey(
    "parcel",
    starts_on=event("parcel_sent"),
    steps=[
        Send("greet", email("greeting")),
        Wait("breathe", seconds(1)),
        Send("nudge", push("nudge")),
        WaitFor("bought", event("order_placed"), since="entry", within=hours(1), then=[Send("thank", email("thanks"))]),
    ],
)
JOURNEYS = (ERRAND, NOTICE, PARCEL)
_WAYS_IN = ("errand_run", "notice_given", "parcel_sent")


def entering(first: int) -> list[dict[str, Any]]:
    """One call: ten people become known and enter; of those who are offered something, some bought already."""
    return [item for number in range(first, first + PEOPLE_A_CALL) for item in _enters(number)]


def buying(first: int) -> list[dict[str, Any]]:
    """A later call: those of the same ten who wait for a parcel buy, which must find its way into their workflows."""
    return [_did(number, "order_placed") for number in range(first, first + PEOPLE_A_CALL) if number % 3 == 2]


def _enters(number: int) -> list[dict[str, Any]]:
    way_in = _did(number, _WAYS_IN[number % 3], timedelta(seconds=-1))
    has_bought = number % 3 != 2 and number % 2 == 0
    return [_known(number), *([_did(number, "order_placed")] if has_bought else []), way_in]


def _known(number: int) -> dict[str, Any]:
    return {
        "type": "identify",
        "userId": f"person-{number}",
        "messageId": f"{number}-identify",
        "traits": {"email": f"person-{number}@example.com", "phone": f"+4915112{300000 + number}"},
        "context": {"device": {"type": "android", "token": f"device-{number}"}, "consents": [{"channel": "sms", "state": "granted"}]},
    }


def _did(number: int, name: str, ago: timedelta = timedelta(0)) -> dict[str, Any]:
    at = (datetime.now(UTC) + ago).isoformat()
    return {"type": "track", "userId": f"person-{number}", "messageId": f"{number}-{name}", "event": name, "timestamp": at}
