"""Where a Send goes: the targets that the first plan fixes, and what has become of a planned one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from activities.rules import Target
from journeys.language.errors import Invalid
from storage.endpoints import THE_USER, WITHOUT_ADDRESS, normalised
from storage.ids import address_hash
from storage.messages import MessageRow
from storage.standing import Endpoint, Standing

NOWHERE = "none"


@dataclass(frozen=True)
class Place:
    """One target. `endpoint_id` or, for an address that is no endpoint of the user, `raw_address`; neither: nowhere."""

    target: str
    address: str | None = None
    address_hash: bytes = b""
    is_active: bool = True
    endpoint_id: int | None = None
    raw_address: str | None = None
    device: Mapping[str, Any] = field(default_factory=dict)

    def as_target(self) -> Target:
        return Target(self.address, self.address_hash, self.is_active)


def places_to_plan(channel: str, standing: Standing) -> list[Place]:
    """Every active device for push, the person as such for in-app, else the endpoint confirmed last; empty when there is none."""
    if channel in WITHOUT_ADDRESS:
        return [_the_user(standing)]
    active = [_at(endpoint) for endpoint in standing.endpoints if endpoint.is_active]
    return active if channel == "push" else active[:1]


def nowhere(standing: Standing) -> Place:
    """No active endpoint: an inactive one makes another reason than none at all."""
    inactive = next((endpoint for endpoint in standing.endpoints if not endpoint.is_active), None)
    return Place(NOWHERE, address=inactive.address if inactive else None, is_active=False)


def raw(app: str, channel: str, address: str) -> Place:
    """An address that the step or the caller names. The row keeps it, because no endpoint does."""
    digest = address_hash(app, channel, address)
    return Place(f"address:{digest.hex()[:16]}", address, digest, raw_address=address)


def raw_or_none(app: str, channel: str, address: object) -> Place | None:
    """The same for what an expression gave, which may be no address at all."""
    try:
        return raw(app, channel, normalised(channel, address)) if isinstance(address, str) else None
    except Invalid:
        return None


def place_of(row: MessageRow, app: str, channel: str, standing: Standing) -> Place:
    """Where a planned row goes by now: an endpoint that is gone, or somebody else's, counts as inactive."""
    if row.address is not None:
        return raw(app, channel, row.address)
    if row.target == THE_USER:
        return _the_user(standing)
    if row.endpoint_id is None:
        return nowhere(standing)
    found = next((endpoint for endpoint in standing.endpoints if endpoint.id == row.endpoint_id), None)
    return _at(found) if found else Place(row.target, address="", is_active=False, endpoint_id=row.endpoint_id)


def _the_user(standing: Standing) -> Place:
    """The person, by the caller's id. There is no address that could be suppressed; their consent decides."""
    return Place(THE_USER, standing.user_id or "")


def _at(endpoint: Endpoint) -> Place:
    return Place(
        target=str(endpoint.id),
        address=endpoint.address,
        address_hash=endpoint.address_hash,
        is_active=endpoint.is_active,
        endpoint_id=endpoint.id,
        device=endpoint.device,
    )
