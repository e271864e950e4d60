"""What the pages for people without a login say, in the languages of api/pages/words.*.toml.

The titles and descriptions of topics are the app's own, in the app's own language.
"""

import tomllib
from collections.abc import Mapping
from functools import cache

from api.html import PAGES

FALLBACK = "en"


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """The words of every page, by language and key. Read from the disk once a process."""
    return {file.name.split(".")[1]: tomllib.loads(file.read_text()) for file in sorted(PAGES.glob("words.*.toml"))}


def language_of(locale: str | None, accepted: str = "") -> str:
    """The language of a page: the person's own, else the first that their browser asks for (RFC 9110), else English."""
    asked = [locale or "", *(part.partition(";")[0].strip() for part in accepted.split(",")[:10])]
    for each in asked:
        language = each.replace("_", "-").partition("-")[0].lower()
        if language in languages():
            return language
    return FALLBACK
