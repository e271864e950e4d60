"""Reading one call of the Segment spec: what it becomes, and what is wrong with it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.segment import Envelope, Read, read_item
from journeys.language.errors import Invalid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read(item: Any, **envelope: Any) -> Read:
    return read_item(item, Envelope(NOW, **envelope))


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "signed_up", "userId": "ada", "messageId": "m1", **fields}


def identify(**fields: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "ada", "messageId": "m1", **fields}


def codes(item: Any, **envelope: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        read(item, **envelope)
    return [(problem.pointer, problem.code) for problem in refused.value.problems]


def test_a_track_becomes_its_event() -> None:
    incoming = read(track(properties={"plan": "gold"}, anonymousId="x", context={"ip": "192.0.2.1"})).incoming
    assert (incoming.event_id, incoming.name, incoming.user_id, incoming.anonymous_id) == ("m1", "signed_up", "ada", "x")
    assert (incoming.properties, incoming.context, incoming.joins, incoming.traits) == ({"plan": "gold"}, {"ip": "192.0.2.1"}, False, {})


@pytest.mark.parametrize(
    ("item", "name", "properties"),
    [
        ({"type": "identify", "traits": {"plan": "gold"}}, "identified", {"plan": "gold"}),
        ({"type": "page", "name": "Home", "properties": {"path": "/"}}, "page_viewed", {"name": "Home", "path": "/"}),
        ({"type": "screen", "name": "Home", "category": "Shop"}, "screen_viewed", {"name": "Home", "category": "Shop"}),
        ({"type": "group", "groupId": "g", "traits": {"size": 3}}, "grouped", {"groupId": "g", "traits": {"size": 3}}),
        ({"type": "alias", "previousId": "x"}, None, {}),
    ],
)
def test_every_call_becomes_its_event(item: dict[str, Any], name: str | None, properties: dict[str, Any]) -> None:
    incoming = read({"userId": "ada", **item}).incoming
    assert (incoming.name, incoming.properties) == (name, properties)


def test_a_number_is_taken_as_an_id() -> None:
    assert read(track(userId=4711)).incoming.user_id == "4711"


def test_an_item_without_an_id_gets_one_and_says_so() -> None:
    one, other = read(track(messageId=None)), read(track(messageId=None))
    assert one.notes == other.notes == ("no_message_id",)
    assert one.incoming.event_id != other.incoming.event_id


def test_a_repeat_has_the_same_fingerprint_whenever_it_is_sent() -> None:
    first = read(track(sentAt="2026-11-23T11:00:00Z")).incoming.body_hash
    assert first == read(track(sentAt="2026-11-23T11:00:09Z", integrations={"All": True})).incoming.body_hash
    assert first != read(track(properties={"total": 1})).incoming.body_hash


# Times


@pytest.mark.parametrize(
    ("given_times", "occurred"),
    [
        ({}, NOW),
        ({"timestamp": "2026-11-23T10:00:00Z"}, NOW - timedelta(hours=2)),
        ({"timestamp": "2026-11-23T10:00:00.123456789Z"}, NOW - timedelta(hours=2) + timedelta(microseconds=123456)),  # Segment Go
        ({"timestamp": "2026-11-23T12:00:00+02:00"}, NOW - timedelta(hours=2)),
        ({"timestamp": "2026-11-23"}, NOW - timedelta(hours=12)),  # without a zone it is UTC
        ({"originalTimestamp": "2026-11-23T10:00:00Z"}, NOW - timedelta(hours=2)),  # RudderStack Node
        ({"timestamp": "2026-11-23T14:00:00Z", "sentAt": "2026-11-23T14:00:05Z"}, NOW - timedelta(seconds=5)),  # a clock two hours fast
        ({"timestamp": "2020-01-01T00:00:00Z", "sentAt": "2020-01-01T00:01:00Z"}, NOW - timedelta(minutes=1)),  # a clock years late
        (  # chosen or corrected by somebody already
            {"timestamp": "2026-11-20T12:00:00Z", "originalTimestamp": "2026-11-23T12:00:00Z", "sentAt": "2026-11-23T11:00:00Z"},
            NOW - timedelta(days=3),
        ),
        ({"timestamp": "2026-11-23T12:04:59Z"}, NOW + timedelta(minutes=4, seconds=59)),
        ({"timestamp": "1970-01-01T00:00:00Z"}, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_callers_clock_is_corrected(given_times: dict[str, str], occurred: datetime) -> None:
    assert read(track(**given_times)).incoming.occurred_at == occurred


def test_the_time_of_sending_may_stand_beside_the_batch() -> None:
    sent_at = NOW + timedelta(hours=2)
    assert read(track(timestamp="2026-11-23T14:00:00Z"), sent_at=sent_at).incoming.occurred_at == NOW


def test_history_keeps_its_own_dates() -> None:
    item = track(timestamp="1997-01-01", sentAt="2026-11-23T11:00:00Z")
    assert read(item, is_history=True).incoming.occurred_at == datetime(1997, 1, 1, tzinfo=UTC)


def test_a_time_in_the_future_becomes_now_and_is_marked() -> None:
    found = read(track(timestamp="2026-11-23T12:05:01Z"))
    assert (found.incoming.occurred_at, found.notes) == (NOW, ("time_in_future",))
    assert found.incoming.context == {"timestampInFuture": True}


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("1969-12-31T23:59:59Z", "time_before_1970"),
        ("0001-01-01T00:00:00+23:59", "invalid_time"),
        ("9999-12-31T23:59:59-23:59", "invalid_time"),
        ("yesterday", "invalid_time"),
        ("２０２６-11-23", "invalid_time"),  # noqa: RUF001 - digits of another width
        (1700000000, "invalid_time"),
        (True, "invalid_time"),
        ({}, "invalid_time"),
    ],
)
def test_a_time_that_cannot_be_is_the_items_error(time: Any, code: str) -> None:
    assert codes(track(timestamp=time)) == [("/timestamp", code)]


def test_a_correction_beyond_the_calendar_is_the_items_error() -> None:
    item = track(timestamp="9999-12-31T00:00:00Z", sentAt="0001-01-02T00:00:00Z")
    assert codes(item) == [("/timestamp", "invalid_time")]


# Context


def test_the_batchs_context_is_merged_below_the_items_own() -> None:
    incoming = read(track(context={"ip": "b"}), context={"ip": "a", "library": {"name": "go"}}).incoming
    assert incoming.context == {"ip": "b", "library": {"name": "go"}}


def test_zone_and_locale_are_read_and_an_unknown_zone_is_an_error() -> None:
    incoming = read(track(context={"timezone": "Europe/Rome", "locale": "it-IT"})).incoming
    assert (incoming.timezone, incoming.locale) == ("Europe/Rome", "it-IT")
    for zone in ("../../etc/passwd", "Mars/Base", "europe/rome\x01", 7, ["UTC"]):
        assert codes(track(context={"timezone": zone})) == [("/context/timezone", "invalid_timezone")]


def test_a_device_token_is_an_address_of_any_call() -> None:
    context = {"device": {"token": "t-1", "type": "ios"}, "os": {"name": "iOS", "version": "19"}, "app": {"version": "2.1"}}
    (address,) = read(track(context=context)).incoming.addresses
    assert (address.channel, address.address) == ("push", "t-1")
    assert address.device == {"type": "ios", "os": "iOS", "os_version": "19", "app_version": "2.1"}


def test_email_and_phone_of_identify_are_addresses_and_attributes() -> None:
    incoming = read(identify(traits={"email": "Ann@Example.com", "phone": "+49 151 12345678"})).incoming
    assert [(a.channel, a.address) for a in incoming.addresses] == [("email", "ann@example.com"), ("sms", "+4915112345678")]
    assert incoming.traits == {"email": "Ann@Example.com", "phone": "+49 151 12345678"}


def test_traits_in_the_context_are_read_from_identify_alone() -> None:
    context = {"traits": {"email": "ann@example.com"}}
    assert read(identify(context=context)).incoming.traits == {"email": "ann@example.com"}  # RudderStack Python
    assert read(track(context=context)).incoming.addresses == ()
    assert read(track(context=context)).incoming.context == {}


def test_consents_of_identify_are_read() -> None:
    context = {"consents": [{"channel": "sms", "state": "granted"}, {"topic": "news", "state": "withdrawn"}], "ip": "192.0.2.1"}
    first, second = read(identify(context=context)).incoming.consents
    assert (first.channel, first.topic, first.state, first.proof) == ("sms", "*", "granted", {"messageId": "m1", "ip": "192.0.2.1"})
    assert (second.channel, second.topic, second.state) == ("*", "news", "withdrawn")
    assert read(track(context=context)).incoming.consents == ()


@pytest.mark.parametrize(
    "consent", [7, {}, {"channel": "fax", "state": "granted"}, {"channel": [], "state": "granted"}, {"state": "maybe"}, {"state": {}},
                {"state": "granted", "topic": ""}, {"state": "granted", "topic": 7}]
)  # fmt: skip
def test_a_consent_that_says_nothing_clear_is_refused(consent: Any) -> None:
    assert codes(identify(context={"consents": [consent]})) == [("/context/consents/0", "invalid_consent")]


# What is wrong


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (7, ("", "not_an_object")),
        ({"event": "a", "userId": "u"}, ("/type", "required")),
        ({"type": "delete", "userId": "u"}, ("/type", "unknown_type")),
        ({"type": "track", "event": "a"}, ("/userId", "required")),
        ({"type": "track", "event": "a", "userId": ""}, ("/userId", "required")),
        ({"type": "track", "userId": "u"}, ("/event", "required")),
        ({"type": "track", "userId": "u", "event": 7}, ("/event", "not_a_string")),
        ({"type": "track", "userId": "u", "event": "x" * 257}, ("/event", "invalid_event_name")),
        ({"type": "track", "userId": "u", "event": "a\nb"}, ("/event", "invalid_event_name")),
        ({"type": "track", "userId": "u", "event": "page_viewed"}, ("/event", "reserved_event_name")),
        ({"type": "track", "userId": "u", "event": "segment_left"}, ("/event", "reserved_event_name")),
        ({"type": "track", "event": "a", "userId": "x" * 257}, ("/userId", "id_too_long")),
        ({"type": "track", "event": "a", "userId": "../u"}, ("/userId", "invalid_id")),
        ({"type": "track", "event": "a", "userId": "a%2E%2eb"}, ("/userId", "invalid_id")),
        ({"type": "track", "event": "a", "userId": "a\u202eb"}, ("/userId", "invalid_id")),  # right-to-left override
        ({"type": "track", "event": "a", "userId": "a\tb"}, ("/userId", "invalid_id")),
        ({"type": "track", "event": "a", "userId": ["u"]}, ("/userId", "not_a_string")),
        ({"type": "track", "event": "a", "userId": True}, ("/userId", "not_a_string")),
        ({"type": "track", "event": "a", "userId": "u", "messageId": "x" * 257}, ("/messageId", "id_too_long")),
        ({"type": "track", "event": "a", "userId": "u", "properties": []}, ("/properties", "not_an_object")),
        ({"type": "track", "event": "a", "userId": "u", "context": "x"}, ("/context", "not_an_object")),
        ({"type": "identify", "userId": "u", "traits": 1}, ("/traits", "not_an_object")),
        ({"type": "identify", "userId": "u", "traits": {"email": 1}}, ("/traits/email", "invalid_email")),
        ({"type": "identify", "userId": "u", "traits": {"email": "a@b@c"}}, ("/traits/email", "invalid_email")),
        ({"type": "identify", "userId": "u", "traits": {"phone": "12"}}, ("/traits/phone", "invalid_phone")),
        ({"type": "identify", "userId": "u", "traits": {"$locale": "x"}}, ("/traits/$locale", "reserved_trait_name")),
        ({"type": "group", "userId": "u"}, ("/groupId", "required")),
        ({"type": "alias", "userId": "u"}, ("/previousId", "required")),
        ({"type": "alias", "previousId": "x", "anonymousId": "y"}, ("/userId", "required")),
        (
            {"type": "track", "event": "a", "userId": "u", "context": {"device": {"token": "a b"}}},
            ("/context/device/token", "invalid_address"),
        ),
        ({"type": "track", "event": "a", "userId": "u", "properties": {"a": "x" * 9000}}, ("/properties/a", "string_too_long")),
        ({"type": "track", "event": "a", "userId": "u", "properties": {str(n): "x" * 100 for n in range(400)}}, ("", "item_too_large")),
    ],
)
def test_a_bad_item_says_where_and_which_rule(item: Any, found: tuple[str, str]) -> None:
    assert found in codes(item)


def test_all_problems_of_an_item_are_told_at_once() -> None:
    item = identify(userId="a\tb", timestamp="x", traits={"email": "x", "phone": "x"})
    assert {pointer for pointer, _ in codes(item)} == {"/userId", "/timestamp", "/traits/email", "/traits/phone"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "previousId",
        "groupId",
        "messageId",
        "timestamp",
        "sentAt",
        "properties",
        "traits",
        "context",
    ]
)


@given(st.dictionaries(fields, json_values | st.sampled_from(["identify", "track", "alias", "group", "page", "u"])))
def test_any_item_is_read_or_refused(item: dict[str, Any]) -> None:
    with suppress(Invalid):
        read(item)
