"""Where the CLI writes: `out` for what was asked for, `notes` (standard error) for progress, warnings and errors."""

from rich.console import Console

# What people have written between two colons is no picture.
# Wider than any row: a table that is squeezed into the terminal cuts the very ids that other commands take.
out = Console(highlight=False, emoji=False, soft_wrap=True, width=1000)
notes = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
