"""What a short text asks for: to stop, to start again, for help, or something that a person must look at.

The words are the union of what AWS, Twilio and the FCC name, and what other languages use. Spellings are folded before they are compared:
case, accents, spaces and punctuation, full-width and enclosed letters, invisible characters, letters of other scripts that look the same.
"""

# ruff: noqa: RUF001 - letters that look like others are what this file is about

import re
import unicodedata
from itertools import pairwise
from typing import Literal

Meaning = Literal["stop", "start", "yes", "help", "unclear", "nothing"]

STOP = frozenset({
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "REMOVE", "ARRET", "TD", "STOPP", "STOPSMS", "SMSSTOP",
    "ARRETER", "DESABONNER", "DESABONNEMENT", "DESINSCRIRE", "ABMELDEN", "ABBESTELLEN", "KUNDIGEN", "BAJA", "PARAR", "DETENER", "CANCELAR",
    "SAIR", "ANNULLA", "CANCELLAMI", "DISISCRIVIMI", "AFMELDEN", "UITSCHRIJVEN", "AVSLUTA", "AFMELD", "WYPISZ", "REZYGNUJE", "IPTAL",
    "СТОП", "ОТПИСАТЬСЯ", "ОТПИСКА", "ВІДПИСАТИСЯ", "停止", "配信停止", "解除", "退订", "退訂", "取消订阅",
    "수신거부", "중지", "توقف", "الغاء", "הסר", "הסרה",
})  # fmt: skip
START = frozenset({"START", "UNSTOP", "OPTIN", "SUBSCRIBE", "RESUBSCRIBE", "REPRENDRE", "СТАРТ"})
YES = frozenset({"YES"})
HELP = frozenset({"HELP", "INFO", "AIDE", "HILFE", "AYUDA", "AJUDA", "AIUTO", "ПОМОЩЬ"})
# Whole requests that leave no doubt, with nothing between their letters.
_REQUESTS = frozenset({
    "STOPTEXTINGME", "STOPTEXTING", "STOPMESSAGINGME", "STOPMESSAGING", "STOPSENDINGMETEXTS", "STOPSENDINGTEXTS", "STOPSENDINGMEMESSAGES",
    "STOPSENDINGMESSAGES", "STOPALLMESSAGES", "STOPALLTEXTS", "STOPMESSAGES", "STOPTEXTS", "STOPTHESEMESSAGES", "STOPTHESETEXTS", "STOPNOW",
    "OPTMEOUT", "REMOVEME", "UNSUBSCRIBEME", "UNSUBSCRIBEALL", "TAKEMEOFF", "TAKEMEOFFYOURLIST", "TAKEMEOFFTHISLIST",
    "REMOVEMEFROMYOURLIST",
    "REMOVEMEFROMTHISLIST", "DONOTTEXTME", "DONTTEXTME", "NOMORETEXTS", "NOMOREMESSAGES", "LEAVEMEALONE",
})  # fmt: skip
_POLITE = frozenset({"PLEASE", "PLS", "PLZ", "THANKS", "THX", "BITTE", "DANKE", "SVP", "MERCI", "GRACIAS", "OBRIGADO", "GRAZIE"})
# One of these among other words may ask for the same: a person decides. Cancel, end and the like are everyday words.
_MAYBE = frozenset(
    {"STOP", "STOPP", "STOPALL", "UNSUBSCRIBE", "UNSUBSCRIBED", "OPTOUT", "ARRET", "ABMELDEN", "ABBESTELLEN", "СТОП", "ОТПИСАТЬСЯ"}
)
_SIGN = "\N{OCTAGONAL SIGN}"
_LONGEST = 1_600

# What looks like a Latin capital in Cyrillic and Greek, and the digits that people write for letters.
_ALIKE = str.maketrans("АВЕЅЗІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ0", "ABES3IJKMHOPCTYXABEZHIKMNOPTYXO")
_MORE_ALIKE = str.maketrans("5$1|7", "SSIIT")
_ENCLOSED = {
    first + n: chr(ord("A") + n)
    for first in (ord("\N{NEGATIVE CIRCLED LATIN CAPITAL LETTER A}"), ord("\N{NEGATIVE SQUARED LATIN CAPITAL LETTER A}"), 0x1F1E6)
    for n in range(26)
}
_APART = re.compile(r"[\W_]+")


def meaning(text: str) -> Meaning:
    """What the text asks for. `yes` starts again only for who had stopped; `unclear` holds a word of leaving among others."""
    words = _words(text[:_LONGEST])
    if _says(words, STOP | _REQUESTS) or text.strip() == _SIGN:
        return "stop"
    if _says(words, START):
        return "start"
    if _says(words, YES):
        return "yes"
    if _says(words, HELP):
        return "help"
    return "unclear" if _holds_a_word_of_leaving(words) else "nothing"


def _says(words: list[str], known: frozenset[str]) -> bool:
    asked = "".join(word for word in words if word not in _POLITE)
    return any(form in known for form in _forms(asked))


def _holds_a_word_of_leaving(words: list[str]) -> bool:
    pairs = [first + second for first, second in pairwise(words)]
    return any(form in _MAYBE for word in words for form in _forms(word)) or "OPTOUT" in pairs


def _forms(word: str) -> set[str]:
    """The word as it is written, as what it looks like, and with digits read as letters where it has letters too."""
    alike = word.translate(_ALIKE)
    return {word, alike, alike.translate(_MORE_ALIKE)} if any(character.isalpha() for character in word) else {word}


def _words(text: str) -> list[str]:
    # Compatibility forms are full-width, circled, mathematical letters; what is combined or invisible goes.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text.translate(_ENCLOSED))).casefold().upper()
    # A dollar sign and a bar are letters to some, so they stay until the forms are made; composed Hangul is put together again.
    shown = "".join(
        character for character in plain if unicodedata.category(character) not in {"Mn", "Me", "Cf", "Cc"} or character in "\n\t\r"
    )
    kept = unicodedata.normalize("NFC", shown)
    return [word for word in _APART.split(kept.replace("$", "S").replace("|", "I")) if word]
