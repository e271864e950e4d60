"""Finds the links of a rendered message and puts others in their place. Pure, and quick: one pass over the text, no tree of the HTML.

Where the HTML is so broken that browsers would have to guess, a link stays as it was: it works, and is not counted.
"""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from urllib.parse import quote, urlsplit, urlunsplit

MOST_LINKS = 200
_URL_LIMIT = 2_000

# What is given an address as written (entities and all) and as meant, and returns the address to write, or None to leave it.
Replace = Callable[[str, str], str | None]

# Loops are possessive: a quote that never closes costs one look at the rest, not one for each tag.
# The first look rejects most tags; case is spelt out because a pattern that ignores it cannot skip ahead to the next angle.
_MARKUP = re.compile(
    r"""<(?=[!aAvVsStTxX])(?:
      !--(?:
        -?>                                                 # empty comments, as in <!--[if !mso]><!-->
      | (?!\[if)(?:[^-]++|-(?!->))*+(?:-->)?                # what stands in conditional comments is shown by some, so it is read
      )
    | (?P<raw>[sS][tT][yY][lL][eE]|[sS][cC][rR][iI][pP][tT]|[tT][iI][tT][lL][eE]|[tT][eE][xX][tT][aA][rR][eE][aA]|[xX][mM][pP])
      (?=[\s/>])(?:[^<]++|<(?!/(?i:(?P=raw))))*+
    | (?:[aA](?:[rR][eE][aA])?|[vV]:[a-zA-Z]{1,20})(?=[\s/])(?P<attributes>(?:[^>"']++|"[^"]*+"|'[^']*+')*+)(?P<closed>>?)
    )""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s=>"'/]+)(?:\s*=\s*("[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+))?""")
_OFF = "data-sojourn-track"
_REFERENCE = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*;?)(=?)")
_IN_TEXT = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_PAIRS = {")": "(", "]": "[", "}": "{"}
# Of an address that is ASCII already; the percent sign, because what is encoded stays so.
_SAFE = "%/:=&?~#+!$,;'@()*[]|^`{}\\"


def rewrite_html(text: str, replace: Replace) -> str:
    """Give every href of a link to `replace`. Comments, styles and scripts are passed over; data-sojourn-track="off" leaves a link."""

    def tag(found: re.Match[str]) -> str:
        attributes = found["attributes"]
        if not attributes or not found["closed"]:
            return found[0]
        start = found.start("attributes") - found.start()
        return f"{found[0][:start]}{_with_new_href(attributes, replace)}{found[0][start + len(attributes) :]}"

    return _MARKUP.sub(tag, text)


def _with_new_href(attributes: str, replace: Replace) -> str:
    href = _href_in(attributes)
    if href is None:
        return attributes
    new = replace(href.written, href.meant)
    return attributes if new is None else f'{attributes[: href.start]}"{html.escape(new)}"{attributes[href.end :]}'


@dataclass(frozen=True)
class _Href:
    """An address among the attributes of a tag: as written, as meant, and where it stands with its quotes."""

    written: str
    meant: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def _href_in(attributes: str) -> _Href | None:
    """Browsers go by the first of several attributes of one name, and so do we. What authors wrote out is the same in every message."""
    href: re.Match[str] | None = None
    for found in _ATTRIBUTE.finditer(attributes):
        name = found[1].lower()
        if name == _OFF and (found[2] or "").strip("\"'").lower() == "off":
            return None
        if name == "href" and href is None:
            href = found
    if href is None or href[2] is None:
        return None
    written = href[2][1:-1] if href[2][0] in "\"'" else href[2]
    return _Href(written, unescaped(written), href.start(2), href.end(2))


def rewrite_text(text: str, replace: Replace) -> str:
    """Give every http address in plain text to `replace`; a full stop or bracket behind it is the sentence's."""

    def link(found: re.Match[str]) -> str:
        if len(found[0]) > _URL_LIMIT:
            return found[0]
        url = _without_the_sentence(found[0])
        new = replace(url, url)
        return found[0] if new is None else new + found[0][len(url) :]

    return _IN_TEXT.sub(link, text)


def with_pixel(text: str, url: str) -> str:
    """Put the pixel at the end of the body, where it moves nothing. Not hidden: some programs do not load what is hidden."""
    pixel = f'<img src="{html.escape(url)}" alt="" width="1" height="1" border="0" style="display:block;width:1px;height:1px;border:0">'
    ends = [found.start() for found in _BODY_END.finditer(text, max(len(text) - 4_000, 0))]
    at = ends[-1] if ends else len(text)
    return f"{text[:at]}{pixel}{text[at:]}"


def unescaped(value: str) -> str:
    """Decode the references in an attribute as browsers do: `&copy=1` is no sign there, because addresses are written so."""

    def character(found: re.Match[str]) -> str:
        name, equals = found[1], found[2]
        if name[0] == "#" or name.endswith(";"):
            return html.unescape(f"&{name}") + equals
        return found[0] if equals or name not in html5 else html5[name]

    return _REFERENCE.sub(character, value) if "&" in value else value


@lru_cache(maxsize=65_536)
def destination(url: str) -> str | None:
    """The address as it may stand in a Location header, or None where it is not one to be counted: mailto, tel, anchors, relative ones."""
    # Browsers drop line ends and tabs within an address and blanks around it.
    bare = re.sub(r"[\t\r\n]", "", url).strip(" \x0b\x0c")
    if not bare[:8].lower().startswith(("http://", "https://")) or len(bare) > _URL_LIMIT:
        return None
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname, parts.port
        ascii_host = host.encode("idna").decode("ascii") if host and not host.isascii() else host
    except ValueError:
        return None
    if not ascii_host or "@" in parts.netloc or "\\" in bare or not bare.isprintable():
        return None
    if ":" in ascii_host:
        ascii_host = f"[{ascii_host}]"
    netloc = ascii_host if port is None else f"{ascii_host}:{port}"
    encoded = urlunsplit((parts.scheme, netloc, *(quote(part, safe=_SAFE) for part in (parts.path, parts.query, parts.fragment))))
    return encoded if len(encoded) <= _URL_LIMIT else None


def with_parameters(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Add parameters to the query, but for those that it has already; all that the author wrote stays as it stands."""
    parts = urlsplit(url)
    present = {pair.partition("=")[0].lower() for pair in re.split("[&;]", parts.query)}
    new = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters if value and name not in present)
    if not new:
        return url
    before, hash_mark, fragment = url.partition("#")
    joint = "?" if "?" not in before else "&"
    if before[-1] in "?&":
        joint = ""
    return f"{before}{joint}{new}{hash_mark}{fragment}"


def _without_the_sentence(url: str) -> str:
    while url:
        last = url[-1]
        if last in ".,;:!?'*" or (last in _PAIRS and url.count(last) > url.count(_PAIRS[last])):
            url = url[:-1]
            continue
        return url
    return url
