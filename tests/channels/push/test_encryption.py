"""The sealing of a push for one browser, by the examples of the RFCs."""

from base64 import urlsafe_b64decode

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from channels.push.encryption import MOST_BYTES, Reader, coded, encrypted
from channels.push.keys import from_base64url, p256_from_scalar, point_of
from tests.channels.push.browser import Browser

P256 = ec.SECP256R1()
PLAIN = b"When I grow up, I want to be a watermelon"
OURS = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
THEIRS = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
THEIR_POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(text), "big"), P256)


def test_the_example_of_rfc_8291_comes_out_byte_for_byte() -> None:
    reader = Reader(ec.EllipticCurvePublicKey.from_encoded_point(P256, raw(THEIR_POINT)), raw(SECRET))
    assert encrypted(PLAIN, reader, key=key(OURS), salt=raw(SALT)) == raw(SEALED)


def test_the_browser_of_the_tests_opens_the_example_of_rfc_8291() -> None:
    assert Browser(key(THEIRS), raw(SECRET)).opened(raw(SEALED)) == PLAIN


def test_the_example_of_rfc_8188_comes_out_byte_for_byte() -> None:
    sealed = coded(b"I am the walrus", raw("yqdlZ-tYemfogSmv7Ws5PQ"), raw("I1BsxtFttlv3u_Oo94xnmw"), b"")
    assert sealed == raw("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")


def test_the_token_in_rfc_8292_is_verified_by_the_key_beside_it() -> None:
    token = (
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpw"
        "dXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA"
    )
    point = raw("BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs")
    public = ec.EllipticCurvePublicKey.from_encoded_point(P256, point)
    claims = jwt.decode(token, public, algorithms=["ES256"], audience="https://push.example.net", options={"verify_exp": False})
    assert claims["sub"] == "mailto:push@example.com"


def test_no_two_messages_are_sealed_alike_and_each_is_opened() -> None:
    browser = Browser()
    reader = Reader(browser.key.public_key(), browser.secret)
    sealed = {encrypted(PLAIN, reader) for _ in range(20)}
    assert len(sealed) == 20
    assert len({body[:16] for body in sealed}) == 20
    assert {browser.opened(body) for body in sealed} == {PLAIN}


def test_another_browser_opens_nothing() -> None:
    browser, other = Browser(), Browser()
    with pytest.raises(InvalidTag):
        other.opened(encrypted(PLAIN, Reader(browser.key.public_key(), browser.secret)))


def test_the_largest_message_fills_what_every_push_service_takes() -> None:
    browser = Browser()
    body = encrypted(b"x" * MOST_BYTES, Reader(browser.key.public_key(), browser.secret))
    assert len(body) == 4096
    assert len(browser.opened(body)) == MOST_BYTES


@pytest.mark.parametrize("text", ["", "YQ", "not base64!", "AAAA" * 30, "-----BEGIN PRIVATE KEY-----\nYQ\n-----END PRIVATE KEY-----"])
def test_what_is_no_vapid_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64url|\.p8|curve"):
        p256_from_scalar(text)


def test_a_vapid_key_may_be_written_as_its_generators_write_it() -> None:
    assert p256_from_scalar(OURS) == p256_from_scalar(p256_from_scalar(OURS))
    assert from_base64url(THEIR_POINT + "=") == point_of(key(THEIRS).public_key())
