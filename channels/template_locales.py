"""Variants of a template's files by language: body.de.html stands beside body.html, for de, and for de-AT if there is no body.de-at.html.

Locales are BCP 47 tags in lower case; a person's is matched from its most exact form to its language (RFC 4647, lookup).
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

DEFAULT_LOCALE = "en"
_LOCALE = r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}"
_TAG = re.compile(_LOCALE)
_VARIANT = re.compile(rf"(.+?)\.({_LOCALE})(\.[a-z]{{1,10}})")


@lru_cache(maxsize=4096)
def normal(written: str) -> str:
    """A locale as programs write it (de_AT.UTF-8), as ours; empty for what is none."""
    tag = re.split(r"[.@]", written.strip(), maxsplit=1)[0].replace("_", "-").lower()
    return tag if _TAG.fullmatch(tag) else ""


def plain(file: str) -> str:
    """The file that a variant stands for: body.html for body.de.html."""
    found = _VARIANT.fullmatch(file)
    return f"{found[1]}{found[3]}" if found else file


@lru_cache(maxsize=1024)
def locales_of(files: tuple[str, ...]) -> frozenset[str]:
    """The locales for which there is a variant of some file."""
    return frozenset(found[2] for file in files if (found := _VARIANT.fullmatch(file)))


def best(wanted: str, offered: Iterable[str]) -> str:
    """The offered locale that fits best; empty where none does."""
    return next((tag for tag in _chain(wanted) if tag in offered), "")


def chosen(files: Iterable[str], locale: str) -> dict[str, str]:
    """For each plain file the one that is used for a locale."""
    names = frozenset(files)
    return {name: _chosen(name, names, locale) for name in sorted(names) if not _VARIANT.fullmatch(name)}


def in_locale(files: Mapping[str, str], locale: str) -> Mapping[str, str]:
    """The files as they are used for a locale, under their plain names."""
    return {name: files[used] for name, used in chosen(files, locale).items()}


def spoken(wanted: str, written_in: str) -> str:
    """How numbers and dates are written: as the person has it, where that is the language of the text, else as the text has it."""
    return wanted if wanted and language(wanted) == language(written_in) else written_in


def language(locale: str) -> str:
    return locale.partition("-")[0]


def _chosen(name: str, names: frozenset[str], locale: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return next((used for tag in _chain(locale) if (used := f"{stem}.{tag}{dot}{ending}") in names), name)


def _chain(locale: str) -> list[str]:
    parts = locale.split("-") if locale else []
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
