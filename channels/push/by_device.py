"""An app's accounts for push as one adapter: each push leaves through the account that reaches its device."""

from collections.abc import Mapping

from channels.base import Adapter, Outgoing, Receipt, Rejected
from channels.push.platform import providers_for


class ByDevice:
    """`adapters` by provider. A device that none of them reaches is Rejected, with the provider that is lacking."""

    name = "push"
    channel = "push"

    def __init__(self, adapters: Mapping[str, Adapter]) -> None:
        self._adapters = adapters

    async def send(self, outgoing: Outgoing) -> Receipt:
        return await self.of(outgoing).send(outgoing)

    def of(self, outgoing: Outgoing) -> Adapter:
        """The account for this device. Raises Rejected."""
        wanted = providers_for(outgoing.device, outgoing.address)
        for provider in wanted:
            if provider in self._adapters:
                return self._adapters[provider]
        raise Rejected(f"no account reaches this device: it needs {' or '.join(wanted)}")

    async def close(self) -> None:
        """The accounts are closed by who opened them."""
