"""What `source` is inside a template: rows that were fetched before, and a note of the keys that were asked for and are not there.

Nothing is fetched here. A template is rendered once to see what it asks, with a stand-in for what nobody knows yet; whoever renders
fetches all of that at once and renders again.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

Asked = tuple[str, str]
"""A source and a key."""
LONGEST_KEY = 256


class Lookup(Mapping[str, Any]):
    """`source`, and below it each source by its name. What is looked up is a row that is known, None (there is none), or the stand-in.

    `asked` takes down what is not known; without it, as for a sample, what is not known is not there.
    """

    def __init__(self, known: Mapping[str, Any], asked: set[Asked] | None, name: str | None = None) -> None:
        self._known = known
        self._asked = asked
        self._name = name

    @property
    def at_path(self) -> str:
        return "source" if self._name is None else f"source.{self._name}"

    def path(self, key: str) -> str:
        """What a value below is called. A key may be somebody's, and is not told."""
        return f"source.{key}" if self._name is None else f"{self.at_path}[]"

    def __getitem__(self, key: str) -> Any:
        if self._name is None:
            rows = self._known.get(key)
            return Lookup(rows if isinstance(rows, Mapping) else {}, self._asked, key)
        if key in self._known or self._asked is None:
            return self._known.get(key)
        if not 0 < len(key) <= LONGEST_KEY:
            return None
        self._asked.add((self._name, key))
        return UNKNOWN

    def __iter__(self) -> Iterator[str]:
        raise TemplateRuntimeError(f"{self.at_path} is looked up by a key and has no list")

    def __len__(self) -> int:
        raise TemplateRuntimeError(f"{self.at_path} is looked up by a key and has no length")

    def __str__(self) -> str:
        raise TemplateRuntimeError(f"{self.at_path} is looked up by a key and says nothing itself")


class Unknown:
    """Stands for what a source would answer, so that the rest of the template says what else it asks: nothing, empty, and never wrong."""

    __slots__ = ()

    def __str__(self) -> str:
        return ""

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, _value: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return 0

    def _itself(self, *_others: object) -> "Unknown":
        return self

    def _no(self, _other: object) -> bool:
        return False

    __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _itself
    __neg__ = __pos__ = __abs__ = _itself
    __lt__ = __le__ = __gt__ = __ge__ = _no


UNKNOWN = Unknown()


def tolerant(render: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that makes nothing of the stand-in, instead of failing at it."""

    @wraps(render)
    def filtered(*given: Any, **named: Any) -> Any:
        if any(value is UNKNOWN for value in (*given, *named.values())):
            return UNKNOWN
        return render(*given, **named)

    return filtered
