"""The win-back journey of test_backtest.py over the CDNOW file, worked out by hand: it knows nothing of Sojourn.

Whoever has bought before and not for 90 days lapses. A tenth is held out. The others get `missed` at once and, unless they buy, `offer` or
`news` five days later. Nobody enters again within 180 days. The goal is an order within 30 days of lapsing. Nothing after UNTIL is known.
"""

import gzip
import hashlib
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

UNTIL = datetime(1998, 7, 1, tzinfo=UTC)
LAPSE, AGAIN, THINK, GOAL = timedelta(days=90), timedelta(days=180), timedelta(days=5), timedelta(days=30)
TICK = timedelta(microseconds=1)


def orders(file: Path) -> dict[str, list[tuple[datetime, float]]]:
    found = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        next(lines)
        for line in lines:
            customer, day, _discs, dollars = line.split()
            found[customer].append((datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC), float(dollars)))
    return {customer: sorted(bought) for customer, bought in found.items()}


def bucket(*parts: str) -> int:
    joined = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big") % 10_000


def counts(file: Path, app: str) -> dict[str, Any]:
    """The same numbers as the job's result, under names of this script's own."""
    total: Counter[str] = Counter()
    by_day: Counter[tuple[str, str]] = Counter()
    ended: Counter[str] = Counter()
    for customer, bought in orders(file).items():
        days = sorted({day for day, _ in bought})
        lapsed_at = [day + LAPSE + TICK for day, after in zip(days, [*days[1:], None], strict=True) if after is None or after > day + LAPSE]
        last = None
        for lapsed in (moment for moment in lapsed_at if moment < UNTIL):
            if last is not None and lapsed - last < AGAIN:
                total["refused"] += 1
                continue
            last = lapsed
            total["entered"] += 1
            reached = any(lapsed <= day <= lapsed + GOAL for day in days)
            goal = "converted" if reached else "open" if lapsed + GOAL > UNTIL else "not_converted"
            if bucket(app, "win-back", "$holdout", customer) < 1000:
                total["held_out"] += 1
                total[f"held_out {goal}"] += 1
                continue
            total[f"treated {goal}"] += 1
            by_day[str(lapsed.date()), "missed"] += 1
            second = lapsed + THINK
            if any(lapsed <= day <= second for day in days):
                ended["exited: order_placed"] += 1
            elif second >= UNTIL:
                ended["still inside"] += 1
            else:
                ended["completed"] += 1
                spent = sum(dollars for day, dollars in bought if day <= second)
                by_day[str(second.date()), "offer" if spent >= 200 else "news"] += 1
    return {"total": dict(total), "by_day": dict(by_day), "ended": dict(ended)}
