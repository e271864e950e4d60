"""Which variables a template uses, and which of these uses have something to fall back on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jinja2 import nodes

SOURCE = "source"
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Mention:
    """One use of a variable. `path` is dotted; `item.name` of a loop over `entry.items` is `entry.items[].name`.

    `is_covered`: it stands before `default`, in `is defined`, or where a test around it has seen that it is there.
    """

    path: str
    line: int
    is_covered: bool


def source_of(path: str) -> str | None:
    """The source that a mentioned path asks: `product` of `source.product`. None of another root, empty where none is named."""
    root, _, rest = path.partition(".")
    return rest.partition(".")[0].removesuffix("[]") if root.removesuffix("[]") == SOURCE else None


def mentions(template: nodes.Template) -> list[Mention]:
    """Every use of a variable from outside, in the order of the source. Names that the template sets itself are none."""
    return list(_Walk().visit(template, _NOTHING))


class _Walk:
    """Knows the names that the template made: loop variables with the path of their list, set ones with none."""

    def __init__(self) -> None:
        self._own: dict[str, str | None] = {"loop": None}

    def visit(self, node: nodes.Node, seen: frozenset[str]) -> Iterator[Mention]:
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                yield from self._use(node, seen)
            case nodes.Filter(name="default" | "d") | nodes.Test(name="defined" | "undefined"):
                yield from self._covered(node, seen)
            case nodes.If():
                yield from self._if(node, seen)
            case nodes.CondExpr():
                yield from self.visit(node.test, seen)
                yield from self.visit(node.expr1, seen | self._proven(node.test))
                yield from self.visit(node.expr2, seen) if node.expr2 else ()
            case nodes.And():
                yield from self.visit(node.left, seen)
                yield from self.visit(node.right, seen | self._proven(node.left))
            case nodes.For():
                yield from self._for(node, seen)
            case nodes.Assign():
                yield from self.visit(node.node, seen)
                self._own |= dict.fromkeys(_names(node.target))
            case _:
                yield from self._all(node.iter_child_nodes(), seen)

    def _all(self, several: Iterator[nodes.Node] | list[nodes.Node], seen: frozenset[str]) -> Iterator[Mention]:
        for node in several:
            yield from self.visit(node, seen)

    def _use(self, node: nodes.Expr, seen: frozenset[str], *, is_covered: bool = False) -> Iterator[Mention]:
        path = self._path(node)
        if path:
            yield Mention(path, node.lineno, is_covered or path in seen)
        elif not isinstance(node, nodes.Name):
            # The key is computed, or the root is the template's own: look at the pieces.
            for mention in self._all(node.iter_child_nodes(), seen):
                yield replace(mention, is_covered=mention.is_covered or (is_covered and self._is_lookup(node)))

    def _is_lookup(self, node: nodes.Node) -> bool:
        """A row of a source, or what is in one: where the key has no value, neither has the row."""
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            node = node.node
        return isinstance(node, nodes.Name) and node.name == SOURCE and SOURCE not in self._own

    def _covered(self, node: nodes.Filter | nodes.Test, seen: frozenset[str]) -> Iterator[Mention]:
        inner, *rest = node.iter_child_nodes()
        if isinstance(inner, nodes.Name | nodes.Getattr | nodes.Getitem):
            yield from self._use(inner, seen, is_covered=True)
        else:
            yield from self.visit(inner, seen)
        yield from self._all(rest, seen)

    def _if(self, node: nodes.If, seen: frozenset[str]) -> Iterator[Mention]:
        yield from self.visit(node.test, seen)
        yield from self._all(node.body, seen | self._proven(node.test))
        yield from self._all([*node.elif_, *node.else_], seen)

    def _for(self, node: nodes.For, seen: frozenset[str]) -> Iterator[Mention]:
        yield from self.visit(node.iter, seen)
        before = dict(self._own)
        over = self._path(_without_default(node.iter))
        names = _names(node.target)
        self._own |= dict.fromkeys(names, f"{over}[]" if over and len(names) == 1 else None)
        yield from self._all([*([node.test] if node.test else []), *node.body], seen)
        self._own = before
        yield from self._all(node.else_, seen)

    def _proven(self, test: nodes.Node) -> frozenset[str]:
        """The paths that are there when `test` is true."""
        match test:
            case nodes.And():
                return self._proven(test.left) | self._proven(test.right)
            case nodes.Test(name="defined", node=inner) | nodes.Filter(name="default" | "d", node=inner) if inner is not None:
                path = self._path(inner)
                return frozenset({path}) if path else _NOTHING
            case _:
                return _NOTHING

    def _path(self, node: nodes.Node) -> str | None:
        """The dotted path of a variable from outside; None for anything else. A bare loop variable has its value for sure."""
        match node:
            case nodes.Name():
                return None if node.name in self._own else node.name
            case nodes.Getattr(node=inner, attr=name):
                return self._joined(inner, name)
            case nodes.Getitem(node=inner, arg=nodes.Const(value=str() as name)):
                return self._joined(inner, name)
            case _:
                return None

    def _joined(self, inner: nodes.Node, name: str) -> str | None:
        own = self._own.get(inner.name) if isinstance(inner, nodes.Name) else None
        base = own or self._path(inner)
        return f"{base}.{name}" if base else None


def _names(target: nodes.Node) -> list[str]:
    return [name.name for name in ([target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name))]


def _without_default(node: nodes.Node) -> nodes.Node:
    while isinstance(node, nodes.Filter) and node.name in ("default", "d", "many") and node.node:
        node = node.node
    return node
