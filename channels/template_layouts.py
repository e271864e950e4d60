"""Layouts and partials: put into a template's text before anything else reads it, so that a message knows nothing of them.

`{% extends "_layouts/plain.html" %}` with blocks, `{{ super() }}`, and `{% include "_partials/footer.html" %}`, as Jinja has them. Files
are named in quotes, because what they say is fixed when a version is published. What is put in sees the variables of where it is put.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from channels.template_files import BadFile
from channels.template_locales import plain
from channels.template_tags import spans, without_comments

LAYOUTS, PARTIALS = "_layouts/", "_partials/"
# A partial that holds a partial twice, which holds another twice, and so on, stops here.
_SIZE_LIMIT = 256_000
_DEPTH_LIMIT = 10

_PIECE = re.compile(
    r"\{%(?P<before>[-+]?)\s*(?P<word>extends|include|block|endblock)\b(?P<rest>.*?)(?P<after>[-+]?)%\}"
    r"|(?P<super>\{\{[-+]?\s*super\(\s*\)\s*[-+]?\}\})",
    re.DOTALL,
)
_OURS = re.compile(r"\{%[-+]?\s*(?:extends|include|block|endblock)\b")
_NAMED = re.compile(r"""\{%[-+]?\s*(?:extends|include)\s+["']([^"']*)["']""")
_FILE = re.compile(r"""\s*["']((?:_layouts|_partials)/[a-z0-9._-]+)["']\s*""")
_BLOCK = re.compile(r"\s*([A-Za-z_]\w*)\s*")


@dataclass(frozen=True)
class _Include:
    file: str


class _Super:
    """Where the block of the layout is put."""


@dataclass(frozen=True)
class _Block:
    name: str
    body: "_Nodes"


_Nodes = tuple["str | _Include | _Super | _Block", ...]


@dataclass(frozen=True)
class _Tree:
    layout: str | None
    nodes: _Nodes


def is_shared(file: str) -> bool:
    """Tell a layout or partial from a file that makes a message."""
    return file.startswith((LAYOUTS, PARTIALS))


def composed(file: str, files: Mapping[str, str], source: str | None = None) -> str:
    """The text of a file (or `source`, which is from it) with its layout around it and its partials in it. Raises BadFile."""
    text = files[file] if source is None else source
    return _Composer(files).whole(file, text) if _OURS.search(text) else text


def named_in(texts: Iterable[str], files: Mapping[str, str]) -> set[str]:
    """The layouts and partials that these texts name, in every language, and those that these name, as far as they are there."""
    found: set[str] = set()
    waiting = list(texts)
    while waiting:
        named = set(_NAMED.findall(waiting.pop()))
        new = {name for name in files if plain(name) in named} - found
        found |= new
        waiting += [files[name] for name in new]
    return found


class _Composer:
    """Writes one file. Counts what it writes, and each piece, so that pieces of nothing end too."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._size = 0

    def whole(self, file: str, text: str, way: tuple[str, ...] = ()) -> str:
        trees = self._with_layouts(file, text, way)
        bodies: dict[str, list[_Nodes]] = {}
        for at, (within, tree) in enumerate(trees[:-1]):
            _must_be_shown(within, tree, {name for _, above in trees[at + 1 :] for name, _ in _blocks(above.nodes)})
            for name, body in _blocks(tree.nodes):
                bodies.setdefault(name, []).append(body)
        last, root = trees[-1]
        return "".join(self._written(last, root.nodes, bodies, (), (*way, *(within for within, _ in trees))))

    def _with_layouts(self, file: str, text: str, way: tuple[str, ...]) -> list[tuple[str, _Tree]]:
        """The file, its layout, the layout of that, and so on."""
        trees = [(file, _tree(file, text))]
        while (layout := trees[-1][1].layout) is not None:
            within = trees[-1][0]
            self._must_be_new(within, layout, (*way, *(each for each, _ in trees)))
            trees.append((layout, _tree(layout, self._text(within, layout))))
        return trees

    def _written(
        self, file: str, nodes: _Nodes, bodies: Mapping[str, Sequence[_Nodes]], above: Sequence[_Nodes], way: tuple[str, ...]
    ) -> Iterator[str]:
        for node in nodes:
            self._count(file, node)
            match node:
                case str():
                    yield node
                case _Include():
                    self._must_be_new(file, node.file, way)
                    yield self.whole(node.file, self._text(file, node.file).removesuffix("\n"), way)
                case _Block():
                    first, *rest = [*bodies.get(node.name, ()), node.body]
                    yield from self._written(file, first, bodies, rest, way)
                case _Super():
                    if not above:
                        raise BadFile(file, "super() stands where there is no block of a layout: take it out")
                    yield from self._written(file, above[0], bodies, above[1:], way)

    def _text(self, file: str, wanted: str) -> str:
        if wanted not in self._files:
            raise BadFile(file, f"names {wanted}, which is not there: add it, or mend the name")
        return self._files[wanted]

    def _must_be_new(self, file: str, wanted: str, way: tuple[str, ...]) -> None:
        if wanted in way:
            raise BadFile(file, f"names {wanted}, which names this file again: take one of them out")
        if len(way) > _DEPTH_LIMIT:
            raise BadFile(file, f"is within more than {_DEPTH_LIMIT} others: put fewer of them into each other")

    def _count(self, file: str, node: object) -> None:
        self._size += 1 + (len(node) if isinstance(node, str) else 0)
        if self._size > _SIZE_LIMIT:
            raise BadFile(file, f"is more than {_SIZE_LIMIT} characters with what is put in: shorten it")


def _tree(file: str, text: str) -> _Tree:
    layout: str | None = None
    open_blocks: list[tuple[str, list[str | _Include | _Super | _Block]]] = [("", [])]
    for piece in _pieces(text):
        nodes = open_blocks[-1][1]
        if isinstance(piece, str):
            nodes.append(piece)
            continue
        match piece["word"]:
            case "include":
                nodes.append(_Include(_file(file, piece["rest"])))
            case "extends":
                if layout or any(not isinstance(node, str) or node.strip() for node in nodes):
                    raise BadFile(file, "extends stands at the beginning, and once")
                layout = _file(file, piece["rest"])
            case "block":
                open_blocks.append((_block_name(file, piece["rest"]), []))
            case "endblock":
                name, body = open_blocks.pop()
                if not open_blocks:
                    raise BadFile(file, "has an endblock without its block")
                open_blocks[-1][1].append(_Block(name, tuple(body)))
            case _:
                nodes.append(_Super())
    if len(open_blocks) > 1:
        raise BadFile(file, f"does not end its block {open_blocks[-1][0]}: add endblock")
    return _Tree(layout, tuple(open_blocks[0][1]))


def _pieces(text: str) -> Iterator["str | re.Match[str]"]:
    """Texts, and the tags between them that are ours. Space around tags goes as Jinja takes it away."""
    at, cuts = 0, ""
    for start, end in spans(text, with_raw=True):
        found = _PIECE.fullmatch(text, start, end)
        if found is None:
            continue
        yield _cut(text[at : found.start()], cuts, found)
        yield found
        at, cuts = found.end(), "all" if found["after"] == "-" else "line" if found["word"] not in ("include", None) else ""
    yield _cut(text[at:], cuts, None)


def _cut(text: str, after: str, before: "re.Match[str] | None") -> str:
    left = text.lstrip() if after == "all" else text.removeprefix("\n") if after == "line" else text
    if before is None or before["word"] is None:
        return left
    if before["before"] == "-":
        return left.rstrip()
    head, newline, last = left.rpartition("\n")
    is_alone = before["word"] != "include" and not last.strip() and (newline or not head)
    return head + newline if is_alone else left


def _file(file: str, rest: str) -> str:
    found = _FILE.fullmatch(rest)
    if found is None:
        raise BadFile(file, f'names in quotes what is put in, of {LAYOUTS} or {PARTIALS}, and says nothing else: "{PARTIALS}footer.html"')
    return found[1]


def _block_name(file: str, rest: str) -> str:
    found = _BLOCK.fullmatch(rest)
    if found is None:
        raise BadFile(file, "a block has a name, and nothing else: {% block content %}")
    return found[1]


def _blocks(nodes: _Nodes) -> Iterator[tuple[str, _Nodes]]:
    for node in nodes:
        if isinstance(node, _Block):
            yield node.name, node.body
            yield from _blocks(node.body)


def _must_be_shown(file: str, tree: _Tree, known: set[str]) -> None:
    """What a file with a layout says stands in blocks that its layouts (which have those `known`) have too: else nobody would see it."""
    strange = sorted({node.name for node in tree.nodes if isinstance(node, _Block)} - known)
    if strange:
        raise BadFile(file, f"has a block {strange[0]} that {tree.layout} lacks; it has {', '.join(sorted(known)) or 'none'}")
    if any(not isinstance(node, _Block) and not _is_blank(node) for node in tree.nodes):
        raise BadFile(file, f"says something outside its blocks, which {tree.layout} would not show: put it into a block")


def _is_blank(node: object) -> bool:
    return isinstance(node, str) and not without_comments(node).strip()
