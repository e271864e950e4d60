"""Expressions (what can be read) and conditions (what can be asked), as values. Their meaning is in evaluate.py and storage/conditions.py.

The words that authors write (`trait`, `did`, ...) are functions in vocabulary.py.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, cast

from pydantic import AfterValidator
from pydantic import Field as Bound
from pydantic.dataclasses import rebuild_dataclass

from journeys.language.durations import Ago, Ahead, ClockTime, Day, Duration, Instant, literal_time
from journeys.language.nodes import KW_ONLY, Node, node

Scalar: TypeAlias = str | int | float | bool
Path = Annotated[str, Bound(min_length=1)]
Channel = Literal["email", "sms", "push", "voice", "in_app", "whatsapp", "webhook", "custom"]
Operator = Literal["==", "!=", "<", "<=", ">", ">="]

_PARENTHESES = "put each comparison in parentheses: (trait('a') >= 200) & (trait('b') == 'x')"


class ConditionNode(Node):
    """What `&`, `|` and `~` combine. Python's own `and`, `or`, `not` and `a <= b <= c` would silently lose a half, so they raise."""

    def __and__(self, other: "ConditionNode") -> "And":
        return And((*_parts(self, And), *_parts(other, And))) if isinstance(other, ConditionNode) else NotImplemented

    def __or__(self, other: "ConditionNode") -> "Or":
        return Or((*_parts(self, Or), *_parts(other, Or))) if isinstance(other, ConditionNode) else NotImplemented

    def __rand__(self, other: object) -> NoReturn:
        raise TypeError(_PARENTHESES)

    def __ror__(self, other: object) -> NoReturn:
        raise TypeError(_PARENTHESES)

    def __invert__(self) -> "Not":
        return Not(cast("Condition", self))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition is a value, not a truth: combine conditions with & | ~, and write 10 <= x <= 20 as (x >= 10) & (x <= 20)"
        )


class ExpressionNode(Node):
    """What comparisons are made of. `==` builds a condition; Node's shape comparison is not reached through it."""

    def __eq__(self, other: "Operand") -> "Compare":  # type: ignore[override]
        return _compare(self, "==", other)

    def __ne__(self, other: "Operand") -> "Compare":  # type: ignore[override]
        return _compare(self, "!=", other)

    def __lt__(self, other: "Operand") -> "Compare":
        return _compare(self, "<", other)

    def __le__(self, other: "Operand") -> "Compare":
        return _compare(self, "<=", other)

    def __gt__(self, other: "Operand") -> "Compare":
        return _compare(self, ">", other)

    def __ge__(self, other: "Operand") -> "Compare":
        return _compare(self, ">=", other)

    __hash__ = Node.__hash__

    def is_in(self, values: Iterable[Scalar]) -> "IsIn":
        return IsIn(_expression(self), tuple(values))

    def contains(self, part: "Operand") -> "Contains":
        """A text contains a text, or a list has such an element."""
        return Contains(_expression(self), part)

    def starts_with(self, start: "Operand") -> "StartsWith":
        return StartsWith(_expression(self), start)

    def exists(self) -> "Exists":
        """There is a value, and it is not null."""
        return Exists(_expression(self))

    def before(self, moment: "When | datetime | date") -> "Before":
        return Before(_expression(self), when(moment))

    def after(self, moment: "When | datetime | date") -> "After":
        return After(_expression(self), when(moment))

    def __add__(self, duration: Duration) -> "Shifted":
        return Shifted(_expression(self), duration)

    def __sub__(self, duration: Duration) -> "Shifted":
        return Shifted(_expression(self), -duration)

    def at(self, time: str) -> "Timed":
        """The same date at this time of the person's day."""
        return Timed(_expression(self), time)

    def __bool__(self) -> NoReturn:
        raise TypeError("an expression has no value before the journey runs: compare it, or ask .exists()")

    def __contains__(self, other: object) -> NoReturn:
        raise TypeError("write .contains(...) instead of `in`")

    def _operator(self, *_: object) -> NoReturn:
        raise TypeError(_PARENTHESES)

    __and__ = __or__ = __rand__ = __ror__ = __invert__ = _operator


@node
class Trait(ExpressionNode):
    path: Path
    _: KW_ONLY
    kind: Literal["trait"] = "trait"


@node
class Entry(ExpressionNode):
    path: Path
    _: KW_ONLY
    kind: Literal["entry"] = "entry"


@node
class Captured(ExpressionNode):
    step: str
    path: Path
    _: KW_ONLY
    kind: Literal["captured"] = "captured"


@node
class Prop(ExpressionNode):
    path: Path
    _: KW_ONLY
    kind: Literal["prop"] = "prop"


@node
class Device(ExpressionNode):
    path: Path
    _: KW_ONLY
    kind: Literal["device"] = "device"


@node
class Location(ExpressionNode):
    path: Path
    _: KW_ONLY
    kind: Literal["location"] = "location"


@node
class LastDid(ExpressionNode):
    event: str
    _: KW_ONLY
    kind: Literal["last_did"] = "last_did"


Expression: TypeAlias = Annotated[Trait | Entry | Captured | Prop | Device | Location | LastDid, Bound(discriminator="kind")]
Operand: TypeAlias = Expression | Scalar


class _Movable(Node):
    def __add__(self, duration: Duration) -> "Shifted":
        return Shifted(cast("TimeExpression", self), duration)

    def __sub__(self, duration: Duration) -> "Shifted":
        return Shifted(cast("TimeExpression", self), -duration)

    def at(self, time: str) -> "Timed":
        return Timed(cast("TimeExpression", self), time)


@node
class Shifted(_Movable):
    of: "TimeExpression"
    by: Duration
    _: KW_ONLY
    kind: Literal["shifted"] = "shifted"


@node
class Timed(_Movable):
    of: "TimeExpression"
    time: ClockTime
    _: KW_ONLY
    kind: Literal["timed"] = "timed"


_Read: TypeAlias = Trait | Entry | Captured | Prop | Device | Location | LastDid
TimeExpression: TypeAlias = Annotated[_Read | Shifted | Timed, Bound(discriminator="kind")]
When: TypeAlias = Annotated[_Read | Shifted | Timed | Instant | Day | Ago | Ahead, Bound(discriminator="kind")]


@node
class Compare(ConditionNode):
    left: Expression
    op: Operator
    right: Operand
    _: KW_ONLY
    kind: Literal["compare"] = "compare"


@node
class IsIn(ConditionNode):
    left: Expression
    values: Annotated[Sequence[Scalar], AfterValidator(tuple)]
    _: KW_ONLY
    kind: Literal["is_in"] = "is_in"


@node
class Contains(ConditionNode):
    left: Expression
    right: Operand
    _: KW_ONLY
    kind: Literal["contains"] = "contains"


@node
class StartsWith(ConditionNode):
    left: Expression
    right: Operand
    _: KW_ONLY
    kind: Literal["starts_with"] = "starts_with"


@node
class Exists(ConditionNode):
    of: Expression
    _: KW_ONLY
    kind: Literal["exists"] = "exists"


@node
class Before(ConditionNode):
    left: Expression
    right: When
    _: KW_ONLY
    kind: Literal["before"] = "before"


@node
class After(ConditionNode):
    left: Expression
    right: When
    _: KW_ONLY
    kind: Literal["after"] = "after"


@node
class Near(ConditionNode):
    """Within so many kilometres of a place, on a sphere of 6,371 km radius."""

    latitude: float
    longitude: float
    km: float
    _: KW_ONLY
    kind: Literal["near"] = "near"


@node
class Has(ConditionNode):
    channel: Channel
    _: KW_ONLY
    kind: Literal["has"] = "has"


@node
class Did(ConditionNode):
    """How often, or with `total` how much. Without a bound: at least once.

    With `then` only what was followed counts: by an event `then` (of which `then_where` holds) that occurred later, and at most `within`
    later. Equal times have no order, so neither follows the other. The window, `where`, the bounds and `total` are of the first event
    alone: each that was followed counts once, however much followed it, and one event may follow several. What follows may lie behind
    the end of the window, but never after the moment as of which the condition is read.
    """

    event: str
    _: KW_ONLY
    at_least: int | float | None = None
    at_most: int | float | None = None
    last: Duration | None = None
    since: Literal["entry"] | None = None
    between: tuple[When, When] | None = None
    where: "Condition | None" = None
    total: Prop | None = None
    then: str | None = None
    then_where: "Condition | None" = None
    within: Duration | None = None
    kind: Literal["did"] = "did"

    @property
    def names(self) -> tuple[str, ...]:
        """The events that it asks about."""
        return (self.event,) if self.then is None else (self.event, self.then)


@node
class MessageWas(ConditionNode):
    """A message of this step of this enrollment, or one with this template from anywhere, has come so far."""

    state: Literal["sent", "delivered", "opened", "clicked"]
    _: KW_ONLY
    step: str | None = None
    template: str | None = None
    kind: Literal["message_was"] = "message_was"


@node
class InSegment(ConditionNode):
    segment: str
    _: KW_ONLY
    kind: Literal["in_segment"] = "in_segment"


@node
class Subscribed(ConditionNode):
    topic: str
    _: KW_ONLY
    kind: Literal["subscribed"] = "subscribed"


@node
class Sample(ConditionNode):
    """Always the same so many percent of all people, and a smaller sample lies within a larger one. Another `salt` draws other people.

    The hash is that of arms and holdout, under a name that no journey can have: being in a sample says nothing of anybody's arm.
    It is of the id that arms hash too: who becomes known under a user id is drawn once more.
    """

    percent: int | float
    _: KW_ONLY
    salt: str | None = None
    kind: Literal["sample"] = "sample"


@node
class Statement(ConditionNode):
    """Whose user ids a statement of SQL gives. Of segments only: who counts the segment runs it, guarded, and nobody else can."""

    sql: str
    _: KW_ONLY
    kind: Literal["sql"] = "sql"


Conditions = Annotated[Sequence["Condition"], AfterValidator(tuple)]


@node
class And(ConditionNode):
    parts: Conditions
    _: KW_ONLY
    kind: Literal["and"] = "and"


@node
class Or(ConditionNode):
    parts: Conditions
    _: KW_ONLY
    kind: Literal["or"] = "or"


@node
class Not(ConditionNode):
    part: "Condition"
    _: KW_ONLY
    kind: Literal["not"] = "not"


AnyCondition: TypeAlias = (
    Compare
    | IsIn
    | Contains
    | StartsWith
    | Exists
    | Before
    | After
    | Near
    | Has
    | Did
    | MessageWas
    | InSegment
    | Subscribed
    | Sample
    | Statement
    | And
    | Or
    | Not
)
Condition: TypeAlias = Annotated[AnyCondition, Bound(discriminator="kind")]

for _recursive in (Shifted, Timed, Before, After, Did, And, Or, Not):
    rebuild_dataclass(cast("Any", _recursive), force=True)


def when(moment: "When | datetime | date") -> When:
    """Take an author's moment of a condition; dates and instants of Python become tagged nodes."""
    return literal_time(moment) if isinstance(moment, date) else moment


def _expression(self: ExpressionNode) -> Expression:
    return cast("Expression", self)


def _compare(left: ExpressionNode, op: Operator, right: Operand) -> Compare:
    if right is None:
        raise TypeError("nothing equals null: ask .exists(), or ~(...).exists()")
    if isinstance(right, (date, Duration, Instant, Day, Ago, Ahead)):
        raise TypeError("compare times with .before(...) and .after(...)")
    return Compare(_expression(left), op, right)


def _parts(condition: ConditionNode, joined: type[And | Or]) -> Sequence[AnyCondition]:
    return condition.parts if isinstance(condition, joined) else (cast("Condition", condition),)
