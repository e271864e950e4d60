"""What an author should know of a mail as it would leave: its size, its links, and what filters of spam and dark screens stumble over.

Pure, and without traffic: addresses are read, not asked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

# Gmail shows no more of the HTML than this and puts "View entire message" behind it.
CLIPPED_AT_BYTES = 102 * 1024
_LONG_SUBJECT = 150
_SHOUTED_LETTERS = 8
_FEW_WORDS = 20
_MANY_MARKS = 3
_SHORTENERS = frozenset({"bit.ly", "goo.gl", "is.gd", "ow.ly", "t.co", "tinyurl.com", "cutt.ly", "rb.gy", "buff.ly", "rebrand.ly"})
_DANGEROUS = {"script": "scripts are taken out", "form": "forms are warned of or taken out", "iframe": "frames are taken out"}
_HOST_IN_WORDS = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:/\S*)?", re.IGNORECASE)
_COLOUR = re.compile(r"(?<![-\w])color\s*:", re.IGNORECASE)
_BACKGROUND = re.compile(r"background(?:-color)?\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Remark:
    """`part` is subject, html or text; `code` is for programs."""

    part: str
    code: str
    message: str


def remarks(parts: Mapping[str, Any]) -> list[Remark]:
    """Of a rendered mail, in the order subject, html, text. Empty: nothing to say."""
    subject, html, text = (str(parts.get(name) or "") for name in ("subject", "html", "text"))
    seen = _seen(html)
    return [*_of_subject(subject), *(_of_html(html, seen) if html else ()), *_of_links(seen), *_of_text(text)]


@dataclass
class _Seen:
    links: list[tuple[str, str]] = field(default_factory=list)
    """(address, words)"""
    images: list[tuple[str, str | None]] = field(default_factory=list)
    """(address, alternative words)"""
    tags: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    knows_dark: bool = False


def _seen(html: str) -> _Seen:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.seen


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen = _Seen()
        self._link: str | None = None
        self._link_words: list[str] = []
        self._raw = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.seen.tags.add(tag)
        if tag == "a" and "href" in given:
            self._link, self._link_words = (given["href"] or "").strip(), []
        elif tag == "img":
            self.seen.images.append(((given.get("src") or "").strip(), given.get("alt")))
        elif tag == "meta" and (given.get("name") or "").lower() in ("color-scheme", "supported-color-schemes"):
            self.seen.knows_dark = True
        elif tag in ("style", "script", "title"):
            self._raw = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw:
            self._raw = ""
        if tag == "a" and self._link is not None:
            self.seen.links.append((self._link, " ".join("".join(self._link_words).split())))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.seen.knows_dark = self.seen.knows_dark or "prefers-color-scheme" in data
            return
        self.seen.words += data.split()
        if self._link is not None:
            self._link_words.append(data)


def _of_subject(subject: str) -> Iterator[Remark]:
    cased = [letter for letter in subject if letter.upper() != letter.lower()]
    if not subject.strip():
        yield Remark("subject", "empty_subject", "the subject is empty: filters take such mails for spam")
    if len(subject) > _LONG_SUBJECT:
        yield Remark("subject", "long_subject", f"the subject has {len(subject)} characters; most screens show 40 to 70")
    if len(cased) >= _SHOUTED_LETTERS and all(letter.isupper() for letter in cased):
        yield Remark("subject", "shouted_subject", "the subject is all in capitals, as spam is")
    if re.search(r"[!?]{2}|\${2}", subject) or subject.count("!") >= _MANY_MARKS:
        yield Remark("subject", "many_marks", "the subject has many exclamation marks or the like, as spam has")
    if re.match(r"(?:re|fwd?|aw|wg)\s*:", subject.strip(), re.IGNORECASE):
        yield Remark("subject", "looks_answered", "the subject looks like an answer to a mail that was never written, as spam does")


def _of_html(html: str, seen: _Seen) -> Iterator[Remark]:
    size_bytes = len(html.encode())
    if size_bytes > CLIPPED_AT_BYTES:
        words = f"the HTML is {size_bytes // 1024} KB; Gmail cuts it at 102 KB, and the link to leave may be behind the cut: shorten it"
        yield Remark("html", "clipped", words)
    for tag in sorted(seen.tags & set(_DANGEROUS)):
        yield Remark("html", "active_content", f"there is a <{tag}>: {_DANGEROUS[tag]} by mail programs")
    if seen.images and len(seen.words) < _FEW_WORDS:
        yield Remark("html", "mostly_images", "there are images and hardly any words: filters take such mails for spam")
    missing = sum(words is None for _, words in seen.images)
    if missing:
        yield Remark("html", "no_alt", f"{missing} images have no alt: who sees no images sees nothing there")
    if not seen.knows_dark and _COLOUR.search(html) and not _BACKGROUND.search(html) and "bgcolor" not in html.lower():
        words = "colours of text are set and no background: on a dark screen they may not be seen. Set both, or a meta color-scheme"
        yield Remark("html", "dark_screen", words)


def _of_links(seen: _Seen) -> Iterator[Remark]:
    for address, words in dict.fromkeys(seen.links):
        if fault := _fault(address):
            yield Remark("html", "bad_link", f'the link "{_short(words)}" {fault}')
            continue
        host = (urlsplit(address).hostname or "").lower()
        if host in _SHORTENERS:
            yield Remark(
                "html", "shortened_link", f'the link "{_short(words)}" goes through {host}, which hides where it leads, as spam does'
            )
        told = _HOST_IN_WORDS.fullmatch(words)
        if told and host and not _is_of(host, told[1].lower()):
            yield Remark("html", "other_host", f'the link says "{_short(words)}" and leads to {host}: mail programs warn of that')
    for address, _ in dict.fromkeys(seen.images):
        if not address.startswith("data:") and (fault := _fault(address, of_image=True)):
            yield Remark("html", "bad_image", f"an image {fault}")


def _of_text(text: str) -> Iterator[Remark]:
    for address in dict.fromkeys(re.findall(r"https?://[^\s<>\"]*", text)):
        if fault := _fault(address.rstrip(".,;:!?)")):
            yield Remark("text", "bad_link", f"a link {fault}")


def _fault(address: str, *, of_image: bool = False) -> str:
    """What is wrong with an address, or nothing."""
    if not address or address == "#":
        return "has no address"
    if "{{" in address or "{%" in address:
        return "has an address in which something was not filled in"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "has an address that cannot be read"
    return _fault_of_scheme(parts, host, address, of_image=of_image)


def _fault_of_scheme(parts: SplitResult, host: str, address: str, *, of_image: bool) -> str:
    if parts.scheme in ("mailto", "tel", "sms", "cid") and not of_image:
        return "" if parts.path else "has no address"
    if parts.scheme.lower() in ("javascript", "vbscript", "data", "file"):
        return f"begins with {parts.scheme}:, which mail programs take out"
    if not parts.scheme:
        return "has an address without https://, which leads nowhere from a mail"
    if parts.scheme in ("http", "https"):
        return _fault_of_host(host, address, parts.scheme)
    return "is an image without https://" if of_image else ""


def _fault_of_host(host: str, address: str, scheme: str) -> str:
    if any(letter.isspace() for letter in address):
        return "has an address with a space in it: write %20"
    if not host or "." not in host.strip("."):
        return "has an address without a host that others can reach"
    if _is_number(host):
        return "leads to a number in place of a name, as spam does"
    return "begins with http://, which mail programs warn of: write https://" if scheme == "http" else ""


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_of(host: str, told: str) -> bool:
    bare, named = host.removeprefix("www."), told.removeprefix("www.")
    return bare == named or bare.endswith(f".{named}")


def _short(words: str) -> str:
    return words if len(words) <= 40 else f"{words[:39]}…"  # noqa: PLR2004 - as much as names a link
