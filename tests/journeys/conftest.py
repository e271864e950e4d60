"""Journeys are pure: no test of them may open a socket."""

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Whoever opens one fails with SocketBlockedError."""
