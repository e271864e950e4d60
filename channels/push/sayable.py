"""Which providers of push there are, and which fields of a push each of them cannot say, with why."""

from collections.abc import Collection, Mapping

PROVIDERS = ("adm", "apns", "fcm", "web_push")

_CANNOT: Mapping[str, Mapping[str, str]] = {
    "fcm": {},
    "apns": {},
    "adm": {
        "image": "its notifications have a title and a body",
        "badge": "it knows no badge",
        "sound": "its notifications have a title and a body",
        "priority": "it delivers every message alike",
    },
    "web_push": {
        "sound": "the browser chooses it",
        "silent": "browsers show every push, or take the subscription away",
    },
}


def cannot_say(provider: str, fields: Collection[str]) -> dict[str, str]:
    """Of these fields those that the provider cannot say whatever their values are, with why."""
    return {name: why for name, why in _CANNOT.get(provider, {}).items() if name in fields}
