"""JSON with expressions in it: what `Update`, `Enter` and `Call` give away.

Objects are kept as pairs sorted by key, so the order in which an author writes them never matters.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import AfterValidator, BeforeValidator, GetPydanticSchema, ValidationInfo
from pydantic import Field as Bound
from typing_extensions import TypeAliasType

from journeys.language.conditions import Captured, Device, Entry, LastDid, Location, Prop, Scalar, Trait
from journeys.language.nodes import KW_ONLY, Node, node

URL_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _tagged(given: Any, told: ValidationInfo) -> Any:
    """Tag what an author writes; stored JSON is tagged already, and a key `kind` of an author's object is no tag."""
    if told.mode == "python" and isinstance(given, Mapping):
        return Object(sorted(given.items(), key=lambda pair: str(pair[0])))
    if told.mode == "python" and isinstance(given, (list, tuple)):
        return Items(given)
    return given


# A named alias carries its module with it, so other modules resolve its forward references without importing what they do not use.
_Tagged = TypeAliasType(
    "_Tagged",
    Annotated["Trait | Entry | Captured | Prop | Device | Location | LastDid | Object | Items", Bound(discriminator="kind")],
)
Json: TypeAlias = Annotated[_Tagged | Scalar | None, BeforeValidator(_tagged)]


@node
class Items(Node):
    items: Annotated[Sequence[Json], AfterValidator(tuple)]
    _: KW_ONLY
    kind: Literal["list"] = "list"


@node
class Object(Node):
    pairs: Annotated[Sequence[tuple[str, Json]], AfterValidator(tuple)]
    _: KW_ONLY
    kind: Literal["object"] = "object"


Payload: TypeAlias = Annotated[
    Object | Mapping[str, Any], GetPydanticSchema(lambda _, handler: handler.generate_schema(Object)), BeforeValidator(_tagged)
]
"""Authors write a mapping; what is kept is always an Object."""


def pairs(payload: Payload) -> Sequence[tuple[str, Json]]:
    """The keys with their values, sorted by key."""
    return cast("Object", payload).pairs


def url_places(url: str) -> Sequence[str]:
    """The {names} in a request's URL, which `fill=` has the values for."""
    return URL_PLACE.findall(url)
