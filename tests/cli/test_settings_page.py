"""The settings' page says what the settings are."""

from cli.settings_page import PAGE, page


def test_every_setting_is_on_its_page_as_it_is() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_no_setting_is_without_a_meaning() -> None:
    assert "None |" not in page()
