"""Which provider reaches which device."""

from typing import Any

import pytest

from channels.push.platform import platform_of, providers_for

APPLE = "a1b2c3d4" * 8
FIREBASE = "dGVzdA:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
AMAZON = "amzn1.adm-registration.v3.Y29t"
BROWSER = '{"endpoint":"https://push.example/","keys":{}}'


@pytest.mark.parametrize(
    ("device", "platform"),
    [
        ({"type": "ios"}, "ios"),  # as Segment's libraries say it in context.device.type
        ({"type": "Android"}, "android"),
        ({"os": "iPadOS"}, "ios"),
        ({"os": "android", "manufacturer": "Amazon"}, "amazon"),  # Fire OS calls itself Android and has no Google services
        ({"type": "android", "manufacturer": "samsung"}, "android"),
        ({"platform": "web", "os": "android"}, "web"),  # a browser on a phone
        ({"type": "kindle"}, "amazon"),
        ({"os": "iPhone OS"}, "ios"),
        ({"type": "toaster"}, None),
        ({"type": ["ios"]}, None),
        ({"type": 3, "os": None}, None),
        ({}, None),
    ],
)
def test_the_platform_is_what_the_caller_named(device: dict[str, Any], platform: str | None) -> None:
    assert platform_of(device) == platform


@pytest.mark.parametrize(
    ("device", "token", "providers"),
    [
        ({"type": "ios"}, APPLE, ("apns",)),  # Firebase would call it dead
        ({"type": "ios"}, FIREBASE, ("fcm",)),  # an app of Apple's that uses Firebase: APNs would call its token dead
        ({"type": "android"}, FIREBASE, ("fcm",)),
        ({"type": "android"}, AMAZON, ("adm",)),  # the token says more than the device
        ({"type": "amazon"}, "x", ("adm",)),
        ({"type": "web"}, BROWSER, ("web_push",)),
        ({"type": "web"}, FIREBASE, ("fcm",)),  # a browser through Firebase's library
        ({}, BROWSER, ("web_push",)),
        ({}, APPLE, ("apns",)),
        ({}, FIREBASE, ("fcm",)),
        ({"type": "toaster"}, "x", ("fcm",)),
        ({"type": "ios"}, "", ("apns", "fcm")),
    ],
)
def test_each_device_has_its_providers_the_best_first(device: dict[str, Any], token: str, providers: tuple[str, ...]) -> None:
    assert providers_for(device, token) == providers
