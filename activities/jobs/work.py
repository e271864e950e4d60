"""What every kind of job gets to work with, and the shape of a kind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio.client import Client

from activities.imports.places import Places
from activities.jobs.cores import Cores
from storage.database import Database
from storage.jobs import Job, Progress


@dataclass(frozen=True)
class Work:
    """What jobs of one process share.

    `client` and `task_queue` lead to the workflows of enrollments; `cores` is for what only computes; `places` are where files lie
    outside, and `file_limit` is how many bytes one may have.
    """

    database: Database
    client: Client
    task_queue: str
    cores: Cores = field(default_factory=Cores)
    places: Places = field(default_factory=Places)
    file_limit: int = 2 * 1024**3


Chunk = Callable[[Work, Job], Awaitable[Progress]]
"""One piece of a job, from `job.cursor` on: bounded (a second or two), and safe to repeat, because a killed worker's piece is done again.

A piece that writes SQL calls `storage.jobs.advance` in its own transaction, so that both are committed or neither; for any other piece
that is done after it. Raise Unavailable for a server that is away (it is waited for); anything else counts as a failure of the piece, and
after five the job has failed: an error of the tree is told to people in its own words.
"""
