"""What every value of the language is: a frozen pydantic dataclass with a `kind`, equal to another when it has the same shape."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, Field, field, fields
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

__all__ = ["KW_ONLY", "Node", "fields_of", "node", "shape"]

T = TypeVar("T")


class Node:
    """Equality and hash compare shape: the class and all fields, each scalar with its type, so that 1, 1.0 and True differ.

    The generated equality of dataclasses would ask the fields for `==`, which builds a condition where a field is an expression:
    any two expressions would be equal.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and shape(self) == shape(other)

    def __ne__(self, other: object) -> bool:
        return not (isinstance(other, Node) and shape(self) == shape(other))

    def __hash__(self) -> int:
        return hash(shape(self))


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field, Field))
def node(cls: type[T]) -> type[T]:
    """Make a class a frozen value whose fields are checked for their types when it is built; unknown fields are refused."""
    return cast("type[T]", dataclass(frozen=True, eq=False, config=ConfigDict(extra="forbid", allow_inf_nan=False))(cls))


def shape(value: object) -> object:
    """Turn a value into nested tuples of types and scalars: hashable, and comparable without asking the value itself."""
    if isinstance(value, Node):
        return (type(value), *(shape(inner) for _, inner in fields_of(value)))
    if isinstance(value, tuple):
        return (tuple, *map(shape, value))
    return (type(value), value)


def fields_of(value: Node) -> Iterator[tuple[str, Any]]:
    """Each field with its value, in the order of declaration."""
    for each in fields(cast("Any", value)):
        yield each.name, getattr(value, each.name)
