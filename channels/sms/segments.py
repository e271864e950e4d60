"""How a text is cut into SMS: GSM 7-bit where every character is in its alphabet, else UCS-2 (3GPP TS 23.038 and 23.040)."""

from dataclasses import dataclass
from math import ceil

# 3GPP TS 23.038, 6.2.1: the default alphabet; characters of its extension take two places.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_ALONE = {"gsm7": 160, "ucs2": 70}
_EACH = {"gsm7": 153, "ucs2": 67}


@dataclass(frozen=True)
class Segments:
    """`encoding` is gsm7 or ucs2; a carrier bills each of `count`."""

    encoding: str
    count: int


def segments(text: str) -> Segments:
    """Count the segments of a text. One character outside the GSM alphabet makes the whole text UCS-2."""
    if not foreign(text):
        return Segments("gsm7", _count([2 if character in _EXTENSION else 1 for character in text], "gsm7"))
    return Segments("ucs2", _count([len(character.encode("utf-16-be", "replace")) // 2 for character in text], "ucs2"))


def foreign(text: str) -> str:
    """The characters that make a text UCS-2, each once, in their order."""
    return "".join(dict.fromkeys(character for character in text if character not in _BASIC and character not in _EXTENSION))


def _count(widths: list[int], encoding: str) -> int:
    if sum(widths) <= _ALONE[encoding]:
        return 1
    # No character is cut in two, so a segment may have a place left over.
    count, used = 1, 0
    for width in widths:
        if used + width > _EACH[encoding]:
            count, used = count + 1, 0
        used += width
    return max(count, ceil(sum(widths) / _EACH[encoding]))
