"""Money, numbers, dates and plurals as a language writes them, for the languages that stand in the tables below.

The forms are those of Unicode's CLDR. Another language gets neutral ones: 2026-11-24, 1 234.50, one and other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from channels.template_locales import language

_NO_BREAK = "\u00a0"
_GROUP = 3


@dataclass(frozen=True)
class _Numbers:
    """`grouped_from` digits before the point. `money`: where the sign of a currency stands, with a space or without."""

    group: str
    point: str
    money: str = "{amount} {sign}"
    grouped_from: int = 4


@dataclass(frozen=True)
class _Dates:
    """Patterns of strftime; `months` and `days` (from Monday) as they stand within a date."""

    months: tuple[str, ...]
    days: tuple[str, ...]
    long: str
    full: str
    short: str
    time: str = "%H:%M"


def _named(months: str, days: str, long: str, full: str, short: str, time: str = "%H:%M") -> _Dates:
    return _Dates(tuple(months.split()), tuple(days.split()), long, full, short, time)


_DOTS, _COMMAS, _SPACES = _Numbers(".", ","), _Numbers(",", ".", "{sign}{amount}"), _Numbers(" ", ",")
_SIGN_FIRST = _Numbers(".", ",", "{sign} {amount}")
_NUMBERS: Mapping[str, _Numbers] = {
    **dict.fromkeys(("en", "ja", "zh", "ko"), _COMMAS),
    **dict.fromkeys(("de", "it", "da"), _DOTS),
    **dict.fromkeys(("de-at", "nl", "pt"), _SIGN_FIRST),
    **dict.fromkeys(("fr", "sv", "nb", "no", "fi", "cs"), _SPACES),
    **dict.fromkeys(("pl", "pt-pt"), _Numbers(" ", ",", grouped_from=5)),
    "de-ch": _Numbers("\u2019", ".", "{sign} {amount}"),
    "es": _Numbers(".", ",", grouped_from=5),
    "tr": _Numbers(".", ",", "{sign}{amount}"),
}
_NEUTRAL = _Numbers(" ", ".")

_ENGLISH = (
    "January February March April May June July August September October November December",
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
)
_GERMAN = (
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
)
_DATES: Mapping[str, _Dates] = {
    "en": _named(*_ENGLISH, "%-d %B %Y", "%A, %-d %B %Y", "%d/%m/%Y"),
    "en-us": _named(*_ENGLISH, "%B %-d, %Y", "%A, %B %-d, %Y", "%-m/%-d/%Y", "%-I:%M %p"),
    "de": _named(*_GERMAN, "%-d. %B %Y", "%A, %-d. %B %Y", "%d.%m.%Y"),
    "de-at": _named(_GERMAN[0].replace("Januar", "Jänner", 1), _GERMAN[1], "%-d. %B %Y", "%A, %-d. %B %Y", "%d.%m.%Y"),
    "fr": _named(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        *("%-d %B %Y", "%A %-d %B %Y", "%d/%m/%Y"),
    ),
    "es": _named(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo",
        *("%-d de %B de %Y", "%A, %-d de %B de %Y", "%-d/%-m/%Y", "%-H:%M"),
    ),
    "it": _named(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        *("%-d %B %Y", "%A %-d %B %Y", "%d/%m/%Y"),
    ),
    "pt": _named(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        *("%-d de %B de %Y", "%A, %-d de %B de %Y", "%d/%m/%Y"),
    ),
    "nl": _named(
        "januari februari maart april mei juni juli augustus september oktober november december",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        *("%-d %B %Y", "%A %-d %B %Y", "%d-%m-%Y"),
    ),
    "sv": _named(
        "januari februari mars april maj juni juli augusti september oktober november december",
        "måndag tisdag onsdag torsdag fredag lördag söndag",
        *("%-d %B %Y", "%A %-d %B %Y", "%Y-%m-%d"),
    ),
    "da": _named(
        "januar februar marts april maj juni juli august september oktober november december",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag",
        *("%-d. %B %Y", "%A den %-d. %B %Y", "%d.%m.%Y", "%H.%M"),
    ),
    "nb": _named(
        "januar februar mars april mai juni juli august september oktober november desember",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag",
        *("%-d. %B %Y", "%A %-d. %B %Y", "%d.%m.%Y"),
    ),
    "fi": _named(
        "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
        "maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai",
        *("%-d. %B %Y", "%A %-d. %B %Y", "%-d.%-m.%Y", "%-H.%M"),
    ),
    "pl": _named(
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "poniedziałek wtorek środa czwartek piątek sobota niedziela",
        *("%-d %B %Y", "%A, %-d %B %Y", "%-d.%m.%Y"),
    ),
    "cs": _named(
        "ledna února března dubna května června července srpna září října listopadu prosince",
        "pondělí úterý středa čtvrtek pátek sobota neděle",
        *("%-d. %B %Y", "%A %-d. %B %Y", "%d.%m.%Y", "%-H:%M"),
    ),
    "tr": _named(
        "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",  # noqa: RUF001 - Turkish has it
        "Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi Pazar",  # noqa: RUF001
        *("%-d %B %Y", "%-d %B %Y %A", "%d.%m.%Y"),
    ),
    "ja": _named(
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日",
        *("%Y年%B%-d日", "%Y年%B%-d日%A", "%Y/%m/%d", "%-H:%M"),
    ),
}
_ISO = _named(*_ENGLISH, "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d")
_SAME_DATES = {"no": "nb"}
STYLES = ("short", "long", "full", "time")
_MONTH_OR_DAY = re.compile(r"%%|%[BbAa]")

_SIGNS = {
    "EUR": "€",
    "USD": "$",
    "GBP": "£",
    "JPY": "¥",
    "TRY": "₺",
    "BRL": "R$",
    "INR": "₹",
    "KRW": "₩",
    "ILS": "₪",
    "PLN": "zł",
    "CZK": "Kč",
}
_CROWNS = {("SEK", "sv"): "kr", ("NOK", "nb"): "kr", ("NOK", "no"): "kr", ("DKK", "da"): "kr."}
_DOLLARS = {"CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "MXN": "MX$", "HKD": "HK$"}
_MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_CURRENCY = re.compile(r"[A-Z]{3}")

_T = TypeVar("_T")
_Rule = Callable[[Decimal], str]
FORMS = ("one", "few", "many", "other")


def money(amount: object, currency: str, locale: str, *, breaks: bool) -> str:
    """An amount in major units: 1.234,50 € in German, €1,234.50 in English. Raises ValueError for a currency that is none (ISO 4217).

    `breaks`: its spaces may break a line, and cost nothing more in a text (SMS).
    """
    code = currency.upper()
    if not _CURRENCY.fullmatch(code):
        raise ValueError("a currency is three letters, like EUR")
    numbers, value = _in(_NUMBERS, locale) or _NEUTRAL, Decimal(str(amount))
    sign = _sign(code, locale)
    written = _written(abs(value), _MINOR_DIGITS.get(code, 2), numbers)
    form = numbers.money.replace("{sign}{amount}", "{sign} {amount}") if sign.isalpha() and sign == code else numbers.money
    whole = ("-" if value < 0 else "") + form.format(amount=written, sign=sign)
    return whole if breaks else whole.replace(" ", _NO_BREAK)


def number(value: object, places: int, locale: str, *, breaks: bool) -> str:
    """A number with so many decimals, halves rounded up: 1.234,5 in German."""
    exact = Decimal(str(value))
    whole = ("-" if exact < 0 else "") + _written(abs(exact), places, _in(_NUMBERS, locale) or _NEUTRAL)
    return whole if breaks else whole.replace(" ", _NO_BREAK)


def day(moment: date, pattern: str | None, locale: str) -> str:
    """A date or time by one of STYLES (long, if none is given) or a pattern of strftime, with the names of the language."""
    dates = _in(_DATES, _SAME_DATES.get(language(locale), locale)) or _ISO
    style = getattr(dates, pattern or "long") if pattern is None or pattern in STYLES else pattern

    def named(found: re.Match[str]) -> str:
        if found[0] in ("%%", "%b", "%a") and (found[0] == "%%" or dates.months == tuple(_ENGLISH[0].split())):
            return found[0]
        return dates.months[moment.month - 1] if found[0] in ("%B", "%b") else dates.days[moment.weekday()]

    return moment.strftime(_MONTH_OR_DAY.sub(named, style))


def plural(value: object, forms: Mapping[str, str], locale: str) -> str:
    """The form of a word for a number, by CLDR's categories; `other` for a category that was not given."""
    count = abs(Decimal(str(value)))
    category = _RULES.get(language(locale), _one_and_other)(count)
    return forms.get(category) or forms["other"]


def _in(table: Mapping[str, _T], locale: str) -> _T | None:
    return table.get(locale) or table.get("-".join(locale.split("-")[:2])) or table.get(language(locale))


def _sign(code: str, locale: str) -> str:
    own = _CROWNS.get((code, language(locale)))
    if code in _DOLLARS:
        return "$" if locale.endswith(f"-{code[:2].lower()}") else _DOLLARS[code]
    return own or _SIGNS.get(code, code)


def _written(value: Decimal, places: int, numbers: _Numbers) -> str:
    exact = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    whole, _, part = f"{exact:f}".partition(".")
    if len(whole) >= numbers.grouped_from:
        head = len(whole) % _GROUP
        groups = ([whole[:head]] if head else []) + [whole[at : at + _GROUP] for at in range(head, len(whole), _GROUP)]
        whole = numbers.group.join(groups)
    return f"{whole}{numbers.point}{part}" if part else whole


def _one_and_other(count: Decimal) -> str:
    return "one" if count == 1 else "other"


def _french(count: Decimal) -> str:
    return "one" if count < 2 else "other"  # noqa: PLR2004 - CLDR: 0 and 1, with decimals


def _other(_count: Decimal) -> str:
    return "other"


def _czech(count: Decimal) -> str:
    if count % 1:
        return "many"
    return "one" if count == 1 else "few" if count in (2, 3, 4) else "other"


def _polish(count: Decimal) -> str:
    if count % 1:
        return "other"
    return "one" if count == 1 else "few" if _is_few(count) else "many"


def _russian(count: Decimal) -> str:
    if count % 1:
        return "other"
    return "one" if count % 10 == 1 and count % 100 != 11 else "few" if _is_few(count) else "many"  # noqa: PLR2004 - CLDR's own


def _is_few(count: Decimal) -> bool:
    return count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14)


_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(("fr", "pt"), _french),
    **dict.fromkeys(("ja", "zh", "ko", "vi", "th", "id"), _other),
    **dict.fromkeys(("cs", "sk"), _czech),
    **dict.fromkeys(("ru", "uk"), _russian),
    "pl": _polish,
}
