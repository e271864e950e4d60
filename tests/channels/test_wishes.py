"""Who decides whether a message is counted: the app, then the template, then the caller."""

import pytest

from channels.wishes import About, Decided, Tracking, Wish, decided, tracking_of, wish_of

USUAL = Tracking()
MAIL = About("Shop", "email", "marketing", "spring", "first", "hello")
TEXT = About("Shop", "sms", "marketing", "spring", "first", "hello")
RECEIPT = About("Shop", "email", "transactional", template="receipt")

CASES = [
    # (app, message, wishes, opens, clicks)
    (USUAL, MAIL, [], True, True),
    (USUAL, RECEIPT, [], False, False),
    (USUAL, TEXT, [], False, False),
    (Tracking(transactional=True), RECEIPT, [], True, True),
    (Tracking(opens=False), MAIL, [], False, True),
    (USUAL, MAIL, [Wish(False, False)], False, False),
    (USUAL, MAIL, [Wish(opens=False)], False, True),
    (USUAL, RECEIPT, [Wish(True, True)], True, True),  # asked for by name
    (USUAL, MAIL, [Wish(False, False), Wish(clicks=True)], False, True),  # the caller has the last word
    (USUAL, TEXT, [Wish(True, True)], False, True),  # a text has no pixel
    (Tracking(channels=("email", "sms")), TEXT, [], False, True),
    (USUAL, About("Shop", "voice", "marketing"), [Wish(True, True)], False, False),  # nobody clicks what is read to them
    (USUAL, About("Shop", "webhook", "marketing"), [Wish(True, True)], False, False),
]


@pytest.mark.parametrize(("app", "about", "wishes", "opens", "clicks"), CASES)
def test_the_last_word_counts(app: Tracking, about: About, wishes: list[Wish], opens: bool, clicks: bool) -> None:
    made = decided(app, about, wishes)
    assert (made.opens, made.clicks) == (opens, clicks)


def test_parameters_are_made_from_what_is_known_and_said() -> None:
    said = Tracking(utm={"utm_source": "news"})
    assert decided(USUAL, MAIL, []).parameters == ()
    made = (("utm_source", "news"), ("utm_medium", "email"), ("utm_campaign", "spring"), ("utm_content", "first"))
    assert decided(said, MAIL, []).parameters == made
    assert dict(decided(said, MAIL, [Wish(utm={"utm_campaign": "sale"})]).parameters)["utm_campaign"] == "sale"
    assert decided(said, MAIL, [Wish(utm={})]).parameters == ()
    assert dict(decided(said, RECEIPT, []).parameters)["utm_campaign"] == "receipt"


WRITTEN = [(None, Wish()), (True, Wish(True, True)), (False, Wish(False, False)), ({"opens": False}, Wish(opens=False)), ({}, Wish())]


@pytest.mark.parametrize(("written", "meant"), WRITTEN)
def test_wishes_are_read(written: object, meant: Wish) -> None:
    assert wish_of(written) == meant


@pytest.mark.parametrize(
    ("tracking", "utm"), [(1, None), ("no", None), ({"open": True}, None), ({"opens": 1}, None), (None, True), (None, {"source": "x"})]
)
def test_wishes_that_are_none_are_refused(tracking: object, utm: object) -> None:
    with pytest.raises(ValueError, match=r"true, false|utm is false"):
        wish_of(tracking, utm)


def test_settings_that_were_never_written_are_the_usual_ones() -> None:
    assert tracking_of({}) == USUAL
    assert tracking_of({"tracking": {"channels": ["sms"], "clicks": False}}) == Tracking(channels=("sms",), clicks=False)


def test_nothing_is_nothing() -> None:
    assert Decided(False, False).is_nothing
    assert not Decided(False, False, (("utm_source", "x"),)).is_nothing
