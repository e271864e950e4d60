"""The kinds of jobs: one file each beside this one, and one line here."""

from collections.abc import Mapping

from activities.jobs.backtest import backtest
from activities.jobs.work import Chunk

KINDS: Mapping[str, Chunk] = {
    "backtest": backtest,
}
