"""What a line in the log of a process that lives long looks like, and what may stand in it."""

from collections.abc import MutableMapping
from typing import Any

import structlog

# A field that is not named here never reaches a log line: people's addresses and attributes stay out by default, not by care.
ALLOWED_FIELDS = frozenset(
    {
        "accepted", "app", "channel", "code", "count", "duration_ms", "enrollment", "error", "event", "event_id", "frames", "journey",
        "level", "logger", "message_id", "method", "operation", "provider", "reason", "request_id", "route", "shard", "state", "status",
        "step", "task_queue", "template", "timestamp", "version", "workflow_id",
    }
)  # fmt: skip


def keep_allowed(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list; a processor of structlog."""
    return {name: value for name, value in fields.items() if name in ALLOWED_FIELDS}


def configure_logs() -> None:
    """Write one JSON object a line to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
