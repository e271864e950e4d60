"""Sources as values: one text for each, checked when they are written, and every problem named."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from journeys.language import Http, Rows, Source, Table, days, hours, seconds
from journeys.language.codec import source_from_json, source_hash, source_to_json
from journeys.language.errors import Invalid

PLACE = "https://api.example.com/products/{key}"


@pytest.mark.parametrize(
    "source",
    [
        Source("product", Http(PLACE)),
        Source("product", Http(PLACE + "?lang=de", headers=("Authorization", "X-Shop"), cache=seconds(0), timeout=seconds(5))),
        Source("product", Table("shop.products", key="id", cache=days(1)), failing="wait", wait_at_most=hours(6)),
        Source("product", Rows(key="sku"), failing="default", default={"name": "?", "price": None, "tags": [1, 2.5, True]}),
    ],
)
def test_a_source_is_the_same_after_a_way_through_json(source: Source) -> None:
    again = source_from_json(source_to_json(source))
    assert again == source
    assert source_hash(again) == source_hash(source)


def test_other_fields_are_another_source() -> None:
    assert source_hash(Source("a", Rows(key="sku"))) != source_hash(Source("a", Rows(key="id")))


@pytest.mark.parametrize(
    ("origin", "more", "codes"),
    [
        (Rows(key="sku"), {"failing": "default"}, ["default_and_failing"]),
        (Rows(key="sku"), {"default": {}}, ["default_and_failing"]),
        (Rows(key="sku"), {"failing": "default", "default": {"a": object()}}, ["bad_default"]),
        (Rows(key="sku"), {"failing": "default", "default": {"a": float("nan")}}, ["bad_default"]),
        (Rows(key="sku"), {"failing": "default", "default": {"a": "x" * 70_000}}, ["bad_default"]),
        (Rows(key="sku"), {"failing": "wait", "wait_at_most": days(4)}, ["bad_wait"]),
        (Rows(key="two words"), {}, ["bad_key"]),
        (Table("shop.products; --", key="id"), {}, ["bad_table"]),
        (Table("a.b.c", key="id"), {}, ["bad_table"]),
        (Http("https://api.example.com/p"), {}, ["no_key_in_url"]),
        (Http(PLACE + "/{key}"), {}, ["no_key_in_url"]),
        (Http("https://api.example.com/p#{key}"), {}, ["no_key_in_url"]),
        (Http("https://me:secret@api.example.com/{key}"), {}, ["bad_url"]),
        (Http("https://[::1/{key}"), {}, ["bad_url"]),
        (Http("https://example.com:x/{key}"), {}, ["bad_url"]),
        (Http(PLACE, headers=("Bad Header",)), {}, ["bad_header"]),
        (Http(PLACE, headers=("X-A", "x-a")), {}, ["header_twice"]),
        (Http(PLACE, timeout=seconds(9), cache=days(2)), {}, ["bad_timeout", "bad_cache"]),
    ],
)
def test_what_cannot_be_is_named(origin: Any, more: dict[str, Any], codes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        Source("product", origin, **more)
    assert [problem.code for problem in refused.value.problems] == codes
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "Product", "my-product", "1st", "x" * 64])
def test_a_name_is_one_that_a_template_can_write(name: str) -> None:
    with pytest.raises(Invalid, match="small letters"):
        Source(name, Rows(key="sku"))


def test_a_stored_source_is_read_whatever_rules_come_later() -> None:
    stored = json.loads(source_to_json(Source("product", Http(PLACE))))
    stored["origin"]["timeout"]["seconds"] = 60
    assert source_from_json(json.dumps(stored)).origin == Http(PLACE, timeout=seconds(60))


def test_a_field_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError):
        source_from_json('{"kind":"source","name":"a","origin":{"kind":"rows","key":"k","colour":1}}')
