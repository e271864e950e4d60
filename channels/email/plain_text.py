"""The plain text of a mail that has only HTML. Works on the source of a template, so that it is made once for a version.

Marks of what is not text yet (channels/template_parts.py hides Jinja behind them) go through: a mark is a word, or a comment of its own.
"""

import re
from html.parser import HTMLParser

_APART = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "div", "dl", "dd", "dt", "figure", "footer", "form", "header", "hr"),
        *("li", "main", "nav", "ol", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    }
)
_FAR_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_UNSEEN = frozenset({"head", "script", "style", "title", "template", "noscript"})
_WITHOUT_END = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_MARK = re.compile(r"\s*sjx\d+x\s*")
_CONTROL = re.compile(r"[\x00-\x20]+")
_SPACES = re.compile(" +")
# Lines of the source are only spaces; these are lines of the text.
_BREAK, _BLOCK, _PARAGRAPH = "\1", "\2", "\3"
_BETWEEN = re.compile(f"[ {_BLOCK}{_PARAGRAPH}]*[{_BLOCK}{_PARAGRAPH}][ {_BLOCK}{_PARAGRAPH}]*")


def plain_text(html: str) -> str:
    """What a reader of the HTML sees, with the addresses of links and the words of images; empty where there is nothing to read."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return _tidied("".join(reader.said))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unseen: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._unseen or tag in _UNSEEN or _HIDDEN.search(given.get("style") or ""):
            if tag not in _WITHOUT_END:
                self._unseen.append(tag)
            return
        match tag:
            case "a":
                self._links.append(((given.get("href") or "").strip(), len(self.said)))
            case "br":
                self.said.append(_BREAK)
            case "img":
                self.said.append(given.get("alt") or "")
            case "td" | "th":
                self.said.append(" ")
            case _:
                self._break(tag)
                self.said.append("- " if tag == "li" else "")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag in self._unseen:
                del self._unseen[len(self._unseen) - 1 - self._unseen[::-1].index(tag) :]
            return
        if tag == "a" and self._links:
            address, start = self._links.pop()
            self._end_link(address, _CONTROL.sub(" ", "".join(self.said[start:])).strip())
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.said.append(_CONTROL.sub(" ", data))

    def handle_comment(self, data: str) -> None:
        # Also where nothing is seen: a variable may be set there.
        if _MARK.fullmatch(data):
            self.said.append(data.strip())

    def _break(self, tag: str) -> None:
        if tag in _FAR_APART:
            self.said.append(_PARAGRAPH)
        elif tag in _APART:
            self.said.append(_BLOCK)

    def _end_link(self, address: str, words: str) -> None:
        if not address or address.startswith("#") or address.removeprefix("mailto:").removeprefix("tel:") == words:
            return
        self.said.append(f" ({address})" if words else address)


def _tidied(said: str) -> str:
    """Blocks on lines of their own, paragraphs with an empty line between, and no spaces at the ends of lines."""
    lines = _BETWEEN.sub(lambda found: "\n\n" if _PARAGRAPH in found[0] else "\n", said).replace(_BREAK, "\n").split("\n")
    kept: list[str] = []
    for line in (_SPACES.sub(" ", line).strip(" ") for line in lines):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()
