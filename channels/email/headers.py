"""Header values that cannot break out of their line: refused, encoded (RFC 2047) or folded (RFC 5322), in this order."""

import re
from base64 import b64encode

import idna

from channels.base import Rejected

# Python 3.11.7 and 3.12.1 write an encoded word such as =?utf-8?q?a=0ABcc:_e@x?= out as a real Bcc line. We do not use that code, but
# receivers and gateways decode too, so the text is refused on every version (reliability.md, section 1).
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|=\?")
_ADDRESS = re.compile(r"([^\s\x00-\x1f\x7f@<>(),;:\\\"\[\]]{1,64})@([^\s\x00-\x1f\x7f@<>(),;:\\\"\[\]=?]{1,253})")
_MAILBOX = re.compile(r"\s*\"?(?P<name>[^<>\"]*?)\"?\s*<(?P<address>[^<>]+)>\s*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]*")
# A line with encoded words has at most 76 characters: 12 of frame, 48 of base64 (36 bytes), and the header's name on the first.
_WORD_BYTES = 36
_LINE = 76


def safe_text(text: str) -> str:
    """Return `text` unchanged. Raises Rejected for a control character (CR and LF are two) or the start of an encoded word."""
    if _UNSAFE.search(text):
        raise Rejected("a header holds a line break, a control character or an encoded word")
    return text


def unstructured(name: str, text: str) -> bytes:
    """One header line (or several, folded) with free text such as a subject, ending in CRLF."""
    safe_text(text)
    if text.isascii() and all(len(word) < _LINE for word in text.split(" ")):
        return _folded(f"{name}: {text}")
    return f"{name}: {_encoded(text)}\r\n".encode("ascii")


def encoded(text: str) -> str:
    """Free text in one line, for who folds it: as encoded words where it is beyond ASCII."""
    return text if text.isascii() else _encoded(text).replace("\r\n ", " ")


def mailbox(text: str) -> str:
    """`Ann Lee <ann@example.org>` or `ann@example.org` in its form for a header; the name quoted or encoded as it needs.

    Raises Rejected when there is not exactly one address.
    """
    safe_text(text)
    named = _MAILBOX.fullmatch(text)
    if not named:
        return address(text.strip())
    name, addr = named["name"].strip(), address(named["address"].strip())
    return f"{_phrase(name)} <{addr}>" if name else addr


def in_one_line(name: str, addr: str, *, may_be_quoted: bool = True) -> str:
    """The same of a name and an address that are checked already, for who folds it; without quotes a name is encoded instead."""
    if not name:
        return addr
    phrase = _phrase(name) if may_be_quoted or _ATOMS.fullmatch(name) else _encoded(name)
    return f"{phrase} <{addr}>".replace("\r\n ", " ")


def address(text: str) -> str:
    """One bare address with its domain in ASCII (IDNA 2008); a local part beyond ASCII stays and needs SMTPUTF8. Raises Rejected."""
    match = _ADDRESS.fullmatch(text)
    if match is None or "=?" in text:
        raise Rejected("not one valid email address")
    local, domain = match.groups()
    if domain.isascii():
        return f"{local}@{domain}"
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise Rejected("not a valid email domain") from error


def bare_address(text: str) -> str:
    """The address of a mailbox without its name, as `address` gives it."""
    named = _MAILBOX.fullmatch(text)
    return address((named["address"] if named else text).strip())


def display_name(text: str) -> str:
    """The name of a mailbox; empty where it has none."""
    named = _MAILBOX.fullmatch(text)
    return named["name"].strip() if named else ""


def _phrase(name: str) -> str:
    if not name.isascii():
        return _encoded(name)
    return name if _ATOMS.fullmatch(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded(text: str) -> str:
    words, word = [], b""
    for character in text:
        raw = character.encode("utf-8", "replace")
        if len(word) + len(raw) > _WORD_BYTES:
            words.append(word)
            word = b""
        word += raw
    return "\r\n ".join(f"=?utf-8?b?{b64encode(part).decode('ascii')}?=" for part in [*words, word])


def _folded(line: str) -> bytes:
    # Folding only puts CRLF before a space that is there, so unfolding gives the same text. A line of nothing but spaces would end the
    # header for some readers, hence the look at the word behind the space.
    out, rest = "", line
    while len(rest) > _LINE:
        at = rest.rfind(" ", 0, _LINE + 1)
        while at > 0 and (not rest[:at].strip() or rest[at + 1 : at + 2] in ("", " ")):
            at = rest.rfind(" ", 0, at)
        if at <= rest.find(": ") + 1:
            break
        out += rest[:at] + "\r\n"
        rest = rest[at:]
    return f"{out}{rest}\r\n".encode("ascii")
