"""Settings that are more than a value."""

import pytest
from pydantic import SecretStr

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
