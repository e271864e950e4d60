"""Where the CLI writes: `out` for what was asked for, `notes` (standard error) for progress, warnings and errors."""

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
