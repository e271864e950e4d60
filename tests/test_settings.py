"""Settings that are more than a value."""

import pytest
from pydantic import SecretStr, ValidationError

from journeys.language.errors import ConfigurationError
from settings import Settings


def test_secret_headers_of_calls_are_read_by_origin() -> None:
    given = SecretStr('{"https://crm.example.com": {"Authorization": "Bearer secret"}}')
    assert Settings(call_headers=given).plain_call_headers == {"https://crm.example.com": {"Authorization": "Bearer secret"}}
    assert Settings().plain_call_headers == {}


def test_headers_that_are_written_wrongly_say_how_and_show_no_secret() -> None:
    with pytest.raises(ConfigurationError, match="SOJOURN_CALL_HEADERS must be like") as told:
        _ = Settings(call_headers=SecretStr("Bearer secret-token")).plain_call_headers
    assert "secret-token" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("SMTP_TLS", "STARTTLS"),  # no word that is not known may mean clear text
        ("SMTP_TLS", "ssl"),
        ("SMTP_CONNECTIONS", "0"),
        ("SMTP_PORT", "0"),
    ],
)
def test_what_would_send_no_mail_or_send_it_in_clear_text_is_no_setting(monkeypatch: pytest.MonkeyPatch, name: str, written: str) -> None:
    monkeypatch.setenv(f"SOJOURN_{name}", written)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()
