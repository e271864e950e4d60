"""Fifteen questions about the CDNOW purchases, answered from the file by a plain reader that knows nothing of Sojourn."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[2] / "corpus" / "cdnow_master.txt.gz"
END = date(1998, 7, 1)
MIDST = date(1997, 9, 1)


class Purchase(NamedTuple):
    customer: str
    day: date
    ordinal: int
    discs: int
    dollars: Decimal


def purchases() -> Iterator[Purchase]:
    """Every row; those of a customer's day are numbered, because rows have no id."""
    seen: Counter[tuple[str, str]] = Counter()
    with gzip.open(FILE, "rt") as lines:
        next(lines)
        for line in lines:
            customer, day, discs, dollars = line.split()
            seen[customer, day] += 1
            yield Purchase(customer, date.fromisoformat(day), seen[customer, day], int(discs), Decimal(dollars))


History = Sequence[Purchase]


def before(history: History, end: date) -> list[Purchase]:
    return [each for each in history if each.day <= end]


def lately(history: History, days: int, end: date = END) -> list[Purchase]:
    return [each for each in before(history, end) if each.day >= end - timedelta(days=days)]


def spent(history: History) -> Decimal:
    return sum((each.dollars for each in history), Decimal())


def in_spring(history: History) -> list[Purchase]:
    return [each for each in history if date(1998, 3, 1) <= each.day < date(1998, 6, 1)]


def is_followed(history: History, days: int) -> bool:
    """Whether a purchase was followed by a later one within so many days. Purchases of one day have no order."""
    return any(0 < (later.day - each.day).days <= days for each in history for later in history)


def first_month(history: History) -> str:
    return f"{min(each.day for each in history):%Y-%m}"


# In the order of test_cdnow_segments.py.
ANSWERS: Mapping[str, Callable[[History], bool]] = {
    "at least six orders": lambda history: len(history) >= 6,
    "exactly one order": lambda history: len(history) == 1,
    "spent at least 200": lambda history: spent(history) >= 200,
    "spent between 50 and 100 on discs in the last year": lambda history: 50 <= spent(lately(history, 365)) <= 100,
    "bought in the last 90 days": lambda history: bool(lately(history, 90)),
    "did not buy for 180 days": lambda history: not lately(history, 180),
    "the last order is more than 300 days ago": lambda history: max(each.day for each in history) < END - timedelta(days=300),
    "two or more orders in spring": lambda history: len(in_spring(history)) >= 2,
    "an order of more than ten discs": lambda history: any(each.discs > 10 for each in history),
    "three or more cheap orders": lambda history: sum(each.dollars < 15 for each in history) >= 3,
    "ordered again within a week": lambda history: is_followed(history, 7),
    "never ordered again within 60 days": lambda history: not is_followed(history, 60),
    "big spenders of February who are quiet": lambda history: (
        first_month(history) == "1997-02" and spent(history) >= 150 and not lately(history, 120)
    ),
    "as of September 1997: lapsed": lambda history: bool(before(history, MIDST)) and not lately(history, 90, MIDST),
    "on the list, or regular, but not spent much": lambda history: (
        (history[0].customer.endswith("77") or len(history) >= 10) and not spent(history) >= 500
    ),
}
