"""Which templates cannot cost much, whatever values they get: these may be rendered in our own process, all others in a child.

Allowed is only what is listed. Loops run over given values and at most 200 times; no power, no call, no macro; nothing that a template
builds can be built upon again, so nothing grows but in proportion to its source and to what it is given.
"""

from jinja2 import nodes

LOOP_LIMIT = 200
_COST_LIMIT = 50_000
_JOINT_LIMIT = 20

_PLAIN: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.If, nodes.Concat),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple),
    *(nodes.Keyword, nodes.Slice),
)
_FILTERS = frozenset(
    {
        *("abs", "capitalize", "count", "d", "date", "decimals", "default", "e", "escape", "first", "float", "int", "items", "join"),
        *("last", "length", "lower", "round", "string", "title", "tojson", "trim", "truncate", "upper", "urlencode"),
        *("local", "money", "number", "plain", "plural"),
    }
)
_WITH_NAMED_ARGUMENTS = frozenset({"date", "join", "local", "money", "number", "plural"})
_TESTS = frozenset({"defined", "undefined", "none", "string", "number", "mapping", "sequence", "even", "odd", "in", "eq", "ne"})
_PATH = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const)


def is_bounded(template: nodes.Template) -> bool:
    """Tell whether `template` can be rendered in our own process after `bound_loops`."""
    return _cost(template, 1) <= _COST_LIMIT


def bound_loops(template: nodes.Template) -> nodes.Template:
    """Let each loop stop with TooLarge at 200 items. Changes and returns the tree."""
    for loop in template.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "at_most", [nodes.Const(LOOP_LIMIT)], [], None, None, lineno=loop.lineno)
    return template


def _cost(node: nodes.Node, times: int) -> int:
    """How many nodes are evaluated at most; beyond the limit for a node that is not allowed."""
    if not _is_allowed(node):
        return _COST_LIMIT + 1
    inside = times * LOOP_LIMIT if isinstance(node, nodes.For) else times
    total = inside
    for child in node.iter_child_nodes():
        total += _cost(child, inside)
        if total > _COST_LIMIT:
            break
    return total


def _is_allowed(node: nodes.Node) -> bool:
    match node:
        case nodes.Filter():
            if node.kwargs and node.name not in _WITH_NAMED_ARGUMENTS:
                return False
            return node.node is not None and node.name in _FILTERS and (node.name != "join" or _has_short_joint(node))
        case nodes.Test():
            return node.name in _TESTS and not node.kwargs
        case nodes.For():
            return not node.recursive and _is_given(node.iter)
        case nodes.Assign():
            return isinstance(node.target, nodes.Name) and _is_given(node.node)
        case _:
            return isinstance(node, _PLAIN)


def _is_given(node: nodes.Node) -> bool:
    """A value as it was given, or its default: what is assigned or looped over must not be built by the template."""
    if isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node is not None:
        return _is_given(node.node) and all(isinstance(value, nodes.Const) or _is_empty(value) for value in node.args) and not node.kwargs
    return all(isinstance(part, _PATH) for part in (node, *node.find_all(nodes.Expr)))


def _is_empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.List | nodes.Tuple) and not node.items


def _has_short_joint(node: nodes.Filter) -> bool:
    joints = [*node.args, *(keyword.value for keyword in node.kwargs)]
    return all(isinstance(joint, nodes.Const) and len(str(joint.value)) <= _JOINT_LIMIT for joint in joints)
