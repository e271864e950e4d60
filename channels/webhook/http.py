"""Webhooks out, signed as Standard Webhooks 1.0."""

from channels.base import Outgoing, Receipt


class Http:
    name = "http"
    channel = "webhook"

    def __init__(self, secrets: tuple[str, ...], *, may_reach_loopback: bool = False) -> None:
        self._secrets = secrets
        self._may_reach_loopback = may_reach_loopback

    async def send(self, outgoing: Outgoing) -> Receipt:
        raise NotImplementedError

    async def close(self) -> None: ...
