"""What a template is given of its reader."""

from datetime import UTC, datetime

from activities.contents import variables_of
from storage.standing import Person, Standing

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_reader_has_their_locale_and_zone() -> None:
    told = variables_of(Person(1, "ann", {"locale": "fr"}, "Europe/Vienna", "de-AT"), Standing(NOW))
    assert (told["locale"], told["zone"]) == ("de-AT", "Europe/Vienna")
    asked = variables_of(Person(1, "ann", {"locale": "fr"}, None), Standing(NOW, settings={"timezone": "Asia/Tokyo"}))
    assert (asked["locale"], asked["zone"]) == ("fr", "Asia/Tokyo")
    nobody = variables_of(None, Standing(NOW))
    assert (nobody["locale"], nobody["zone"], nobody["device"]) == (None, "UTC", {})
