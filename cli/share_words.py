"""Shares and differences as people read them, each with where the truth lies."""

from typing import Any


def share(found: Any) -> str:
    """So many percent."""
    if found is None:
        return "of nobody"
    return f"{found['rate'] * 100:.1f} % ({found['low'] * 100:.1f} to {found['high'] * 100:.1f} %)"


def points(found: Any) -> str:
    """One rate minus another."""
    if found is None:
        return "of nobody"
    return f"{found['rate'] * 100:+.1f} points ({found['low'] * 100:+.1f} to {found['high'] * 100:+.1f})"


def verdict(found: Any) -> str:
    """Whether a difference is one, with markup; empty while it tells nothing."""
    if found["low"] > 0:
        return "  [green]better[/]"
    return "  [red]worse[/]" if found["high"] < 0 else ""
