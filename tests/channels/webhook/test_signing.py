"""Signatures of Standard Webhooks."""

import pytest

from channels.webhook.signing import read_secret, signature_headers
from journeys.language.errors import ConfigurationError

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification_has_its_signature() -> None:
    made = signature_headers([read_secret(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at_s=1614265330)
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_sign_side_by_side() -> None:
    old, new = read_secret(SECRET), b"x" * 24
    both = signature_headers([new, old], "a", b"{}", at_s=1)["webhook-signature"].split(" ")
    assert both == [signature_headers([each], "a", b"{}", at_s=1)["webhook-signature"] for each in (new, old)]


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_short", "whsec_!!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "YWJj" * 30])
def test_a_secret_that_is_none_is_a_wrong_setting(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_secret(text)
