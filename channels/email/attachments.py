"""Files that go with a mail: what they may be called, and how they stand in it."""

import re
from base64 import b64decode, b64encode, encodebytes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from channels.base import Rejected
from channels.email.headers import safe_text

MOST, MOST_BYTES = 10, 7_000_000
_NAME_LENGTH = 100
_WORD = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}"
_TYPE = re.compile(f"(?!multipart/|message/){_WORD}/{_WORD}")
# RFC 2231 lets a parameter go on in the next line; a line has at most 78 characters.
_PIECE = 50


@dataclass(frozen=True)
class Attachment:
    """One file; `content` is its bytes in base64, in one line."""

    name: str
    type: str
    content: str

    @property
    def size_bytes(self) -> int:
        return len(self.content) * 3 // 4 - self.content[-2:].count("=")


def attachments_of(parts: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The files of a mail, as the door has let them in."""
    return tuple(Attachment(each["name"], each["type"], each["content"]) for each in parts.get("attachments", ()))


def as_seen(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is shown of the files to people: no bytes."""
    return [{"name": each.name, "type": each.type, "size_bytes": each.size_bytes} for each in attachments_of(parts)]


def from_texts(filled: Mapping[str, Mapping[str, str]]) -> list[dict[str, str]]:
    """The files of a template, filled in, as those that a caller gives: by number, with name, type and text.

    Texts have CRLF for their lines (RFC 2046, 4.1.1), without which some calendars read no invitation.
    """
    return [
        {"name": each["name"], "type": each["type"], "content": b64encode(_lines_ended(each["text"]).encode()).decode("ascii")}
        for each in filled.values()
    ]


def _lines_ended(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\n", "\r\n")
    # Jinja takes the end of the last line away.
    return lines if lines.endswith("\r\n") else f"{lines}\r\n"


def file_name(text: str) -> str:
    """Return `text` unchanged. Raises Rejected for what is no plain name: a path, or a character that nobody sees."""
    if not 0 < len(text) <= _NAME_LENGTH or not text.isprintable() or any(each in text for each in "/\\:") or not text.strip(". "):
        raise Rejected("a file's name has 1 to 100 printable characters and no path")
    return safe_text(text)


def media_type(text: str) -> str:
    """Return `text` unchanged. Raises Rejected for what is no content type of one file."""
    if not _TYPE.fullmatch(text):
        raise Rejected("a content type is written as application/pdf, in small letters and without parameters")
    return text


def part(attachment: Attachment) -> bytes:
    """The file as a part of a mail, from its headers to its last line."""
    head = f"Content-Type: {attachment.type}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n "
    lines = encodebytes(b64decode(attachment.content)).replace(b"\n", b"\r\n")
    return f"{head}{_parameter(attachment.name)}\r\n\r\n".encode("ascii") + lines


def _parameter(name: str) -> str:
    if name.isascii():
        quoted = name.replace('"', '\\"')
        return f'filename="{quoted}"'
    pieces = ["utf-8''"]
    for character in name:
        written = quote(character, safe="")
        if len(pieces[-1]) + len(written) > _PIECE:
            pieces.append("")
        pieces[-1] += written
    return ";\r\n ".join(f"filename*{number}*={piece}" for number, piece in enumerate(pieces))
