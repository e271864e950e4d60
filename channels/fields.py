"""What the settings of several accounts are made of, checked where they are set: what fails with every message is no setting."""

from typing import Annotated

from phonenumbers import SUPPORTED_REGIONS
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

# Those that have numbers of their own, and those of ISO 3166 that have none.
COUNTRIES = frozenset(SUPPORTED_REGIONS) | {"AQ", "BV", "GS", "HM", "PN", "TF", "UM"}
NO_COUNTRY = "not a country of ISO 3166: two capital letters, such as DE (the United Kingdom is GB)"


def country(code: str) -> str:
    """Raises for what is none: nothing would ever be of that country."""
    if code not in COUNTRIES:
        raise PydanticCustomError("no_country", NO_COUNTRY)
    return code


def _token(written: str) -> str:
    if not (written.isascii() and written.isprintable() and " " not in written):
        raise PydanticCustomError("no_token", "only letters, digits and signs of ASCII, without a blank or a line break: copy it whole")
    return written


Country = Annotated[str, AfterValidator(country)]
Token = Annotated[str, AfterValidator(_token)]
"""A credential that leaves in a header as it stands."""
