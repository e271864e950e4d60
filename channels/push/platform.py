"""Which providers reach a device: from what is known of the device, and from how its token is written. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal

Platform = Literal["ios", "android", "amazon", "web"]

_WORDS: Mapping[str, Platform] = {
    **dict.fromkeys(("ios", "ipados", "iphone os", "iphone", "ipad", "macos", "watchos", "tvos", "apns"), "ios"),
    **dict.fromkeys(("android", "fcm", "gcm"), "android"),
    **dict.fromkeys(("amazon", "kindle", "fire os", "fireos", "adm"), "amazon"),
    **dict.fromkeys(("web", "browser", "web_push", "webpush"), "web"),
}
_PROVIDERS: Mapping[Platform, tuple[str, ...]] = {
    "ios": ("apns", "fcm"),
    "android": ("fcm",),
    "amazon": ("adm",),
    "web": ("fcm",),
}
_APPLE_TOKEN = re.compile(r"[0-9A-Fa-f]{64,200}")
_AMAZON_TOKEN = "amzn1.adm-registration."  # noqa: S105 - how one begins


def platform_of(device: Mapping[str, Any]) -> Platform | None:
    """The platform that the caller named, in `platform`, `type` or `os`; an Android made by Amazon is Amazon's."""
    if str(device.get("manufacturer", "")).strip().lower() == "amazon":
        return "amazon"
    for name in ("platform", "type", "os"):
        found = _WORDS.get(str(device.get(name, "")).strip().lower())
        if found is not None:
            return found
    return None


def providers_for(device: Mapping[str, Any], token: str = "") -> tuple[str, ...]:
    """The providers that can reach this device, the best first.

    The token says more than the device: a browser's subscription (JSON) is only for Web Push, and APNs and Firebase would each call a
    token of the other dead. Of a device about which nothing is known the token decides, else it is Firebase's.
    """
    if token.startswith("{"):
        return ("web_push",)
    if token.startswith(_AMAZON_TOKEN):
        return ("adm",)
    platform = platform_of(device)
    if platform in (None, "ios") and token:
        return ("apns",) if _APPLE_TOKEN.fullmatch(token) else ("fcm",)
    return _PROVIDERS[platform or "android"]
