"""The plain text of a mail that has only HTML. Works on the source of a template, so that it is made once for a version.

Marks of what is not text yet (channels/template_parts.py hides Jinja behind them) go through: a mark is a word, or a comment of its own.
Why this is no library's: docs/decisions/0115.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

_APART = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "div", "dl", "dd", "dt", "figure", "footer", "form", "header", "hr"),
        *("caption", "details", "fieldset", "figcaption", "li", "main", "nav", "ol", "section", "summary"),
        *("table", "tbody", "tfoot", "thead", "tr", "ul"),
    }
)
_FAR_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_UNSEEN = frozenset({"head", "script", "style", "title", "template", "noscript"})
_WITHOUT_END = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_NONE = r"0+(?:\.0*)?(?:px|pt|em|rem|%)?\s*(?:!\s*important\s*)?(?:;|$)"
_HIDDEN = re.compile(rf"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden|(?:max-height|opacity)\s*:\s*{_NONE}", re.IGNORECASE)
_GROUPS = frozenset({"tbody", "tfoot", "thead"})
# What may lack its end: what begins, and what ends around it, in its place (HTML, 13.1.2.4).
_ENDED_BY: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "p": (_APART | _FAR_APART | {"td", "th"}, _APART | {"td", "th", "body"}),
    "li": (frozenset({"li"}), frozenset({"ol", "ul"})),
    "dt": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "dd": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "td": (_GROUPS | {"td", "th", "tr"}, _GROUPS | {"table", "tr"}),
    "th": (_GROUPS | {"td", "th", "tr"}, _GROUPS | {"table", "tr"}),
    "tr": (_GROUPS | {"tr"}, _GROUPS | {"table"}),
}
_MARK = re.compile(r"\s*sjx\d+x\s*")
_CONTROL = re.compile(r"[\x00-\x20]+")
_SPACES = re.compile(" +")
# What mails are padded with: spaces that do not break or have no width.
_FILLING = " \xa0\u00ad\u034f\u2007\u200b\u200c\u200d\ufeff"
# Lines of the source are only spaces; these are lines of the text, spaces that stay, and the end of what stands before an item of a list.
_BREAK, _BLOCK, _PARAGRAPH, _SPACE, _ITEM = "\1", "\2", "\3", "\4", "\5"
_BETWEEN = re.compile(f"[ {_BLOCK}{_PARAGRAPH}]*[{_BLOCK}{_PARAGRAPH}][ {_BLOCK}{_PARAGRAPH}]*")
_BEFORE_ITEM = re.compile(f"{_ITEM}[ {_BREAK}{_BLOCK}{_PARAGRAPH}]*")
_INDENT, _DEEPEST = 2 * _SPACE, 8
_NUMBER = re.compile(r"[0-9]{1,6}")
_BULLET = f"-{_SPACE}{_ITEM}"


def plain_text(html: str) -> str:
    """What a reader of the HTML sees, with the addresses of links and the words of images; empty where there is nothing to read."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return _tidied("".join(reader.said))


@dataclass
class _List:
    """`next` is the number of its next item, None where it has none; `numbers` are the places of those that were said."""

    next: int | None
    numbers: list[int] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unseen: list[str] = []
        self._links: list[tuple[str, int]] = []
        self._lists: list[_List] = []
        self._in_pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._show_again(tag, 0)
        if self._unseen or tag in _UNSEEN or "hidden" in given or _HIDDEN.search(given.get("style") or ""):
            if tag not in _WITHOUT_END:
                self._unseen.append(tag)
            return
        match tag:
            case "a":
                self._end_links_left_open()
                self._links.append(((given.get("href") or "").strip(), len(self.said)))
            case "br":
                self.said.append(_BREAK)
            case "img":
                self.said.append(_CONTROL.sub(" ", given.get("alt") or ""))
            case "td" | "th":
                self.said.append(" ")
            case "li":
                self._break(tag)
                self._begin_item()
            case _:
                self._break(tag)
                self._open(tag, given)

    def _open(self, tag: str, given: Mapping[str, str | None]) -> None:
        if tag == "ul":
            self._lists.append(_List(None))
        elif tag == "ol":
            start = given.get("start") or ""
            self._lists.append(_List(int(start) if _NUMBER.fullmatch(start) else 1))
        elif tag == "pre":
            self._in_pre += 1

    def _begin_item(self) -> None:
        self.said.append(_INDENT * min(len(self._lists) - 1, _DEEPEST))
        inside = self._lists[-1] if self._lists else _List(None)
        if inside.next is None:
            self.said.append(_BULLET)
            return
        inside.numbers.append(len(self.said))
        self.said.append(f"{inside.next}.{_SPACE}{_ITEM}")
        inside.next += 1

    def handle_endtag(self, tag: str) -> None:
        self._show_again(tag, 1)
        if self._unseen:
            if tag in self._unseen:
                del self._unseen[len(self._unseen) - 1 - self._unseen[::-1].index(tag) :]
            return
        if tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in ("ol", "ul") and self._lists:
            self._lists.pop()
        elif tag == "pre" and self._in_pre:
            self._in_pre -= 1
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._in_pre and not self._unseen:
            lines = [_CONTROL.sub(lambda spaces: _SPACE * len(spaces[0]), line) for line in data.expandtabs(4).split("\n")]
            self.said.append(_BREAK.join(lines))
        elif not self._unseen:
            self.said.append(_CONTROL.sub(" ", data))

    def handle_comment(self, data: str) -> None:
        # Also where nothing is seen: a variable may be set there.
        if _MARK.fullmatch(data):
            self.said.append(data.strip())
            self._count_no_more()

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """As browsers take it: a comment. Python's own reading of one that it does not know is an AssertionError."""
        return self.parse_bogus_comment(i, report)

    def close(self) -> None:
        super().close()
        self._end_links_left_open()

    def _show_again(self, tag: str, place: int) -> None:
        """What is hidden and lacks its end is over with what begins or ends here."""
        while self._unseen and self._unseen[-1] in _ENDED_BY and tag in _ENDED_BY[self._unseen[-1]][place]:
            self._unseen.pop()

    def _count_no_more(self) -> None:
        """Around its items there may be a loop or a condition: how many there will be nobody knows yet."""
        if self._lists:
            for place in self._lists[-1].numbers:
                self.said[place] = _BULLET
            self._lists[-1] = _List(None)

    def _break(self, tag: str) -> None:
        if tag in _FAR_APART:
            self.said.append(_PARAGRAPH)
        elif tag in _APART:
            self.said.append(_BLOCK)

    def _end_links_left_open(self) -> None:
        """No link is within another; of one that holds no words but those of a template nobody knows where it ends."""
        while self._links:
            address, start = self._links.pop()
            if any(words.strip() and not _MARK.fullmatch(words) for words in self.said[start:]):
                self._end_link(address, start)
                self.said.append(" ")

    def _end_link(self, address: str, start: int) -> None:
        words = _CONTROL.sub(" ", "".join(self.said[start:])).strip()
        if not address or address.startswith("#") or address.removeprefix("mailto:").removeprefix("tel:") == words:
            return
        self.said.append(f" ({address})" if words else address)


def _tidied(said: str) -> str:
    """Blocks on lines of their own, paragraphs with an empty line between, and no spaces at the ends of lines."""
    said = _BEFORE_ITEM.sub("", said)
    lines = _BETWEEN.sub(lambda found: "\n\n" if _PARAGRAPH in found[0] else "\n", said).replace(_BREAK, "\n").split("\n")
    kept: list[str] = []
    for line in (_SPACES.sub(" ", line).strip(_FILLING).rstrip(_SPACE).replace(_SPACE, " ") for line in lines):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip("\n")
