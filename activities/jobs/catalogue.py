"""The kinds of jobs: one file each beside this one, and one line here."""

from collections.abc import Mapping

from activities.jobs.backtest import backtest
from activities.jobs.by_hand import advances, exits, sends_events
from activities.jobs.exporting import exports
from activities.jobs.freezing import freezes
from activities.jobs.importing import imports
from activities.jobs.moving import moves
from activities.jobs.releasing import releases
from activities.jobs.work import Chunk

KINDS: Mapping[str, Chunk] = {
    "backtest": backtest,
    "move": moves,
    "exit": exits,
    "advance": advances,
    "event": sends_events,
    "release": releases,
    "freeze": freezes,
    "import": imports,
    "export": exports,
}
