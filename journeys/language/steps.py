"""The steps of a journey, as values. What they do is in play.py."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import AfterValidator
from pydantic import Field as Bound
from pydantic.dataclasses import rebuild_dataclass

from journeys.language.conditions import (
    AnyCondition,
    Captured,
    Device,
    Entry,
    Expression,
    LastDid,
    Location,
    Prop,
    Shifted,
    Timed,
    Trait,
)
from journeys.language.conditions import (
    Condition as Condition,
)
from journeys.language.durations import At, BestTime, Day, Duration, Instant, On
from journeys.language.events import Events
from journeys.language.messages import Message, MessageClass, QuietHours, SendWindow
from journeys.language.nodes import KW_ONLY, Node, node
from journeys.language.payloads import Json, Object, Payload


def _is_empty(steps: Sequence[object]) -> bool:
    return not steps


_AllSteps = Annotated[Sequence["Step"], AfterValidator(tuple)]
Steps: TypeAlias = Annotated[_AllSteps, Bound(exclude_if=_is_empty)]
Moment: TypeAlias = Annotated[
    At | On | BestTime | Instant | Day | Shifted | Timed | Trait | Entry | Captured | Prop | Device | Location | LastDid,
    Bound(discriminator="kind"),
]


@node
class Send(Node):
    """Send a message. `otherwise` runs when nothing went out; `to` is another address than the user's endpoints."""

    id: str
    message: Message
    _: KW_ONLY
    otherwise: Steps = ()
    topic: str | None = None
    message_class: MessageClass | None = None
    quiet_hours: QuietHours | None = None
    send_window: SendWindow | None = None
    to: Expression | str | None = None
    kind: Literal["send"] = "send"


@node
class Wait(Node):
    """Wait for a duration or until a moment. `reset_by` starts it over; `if_past` runs instead of `then` when the moment had passed."""

    id: str
    duration: Duration | None = None
    _: KW_ONLY
    until: Moment | None = None
    reset_by: Events | None = None
    then: Steps = ()
    if_past: Steps = ()
    kind: Literal["wait"] = "wait"


@node
class Case(Node):
    """One branch of a WaitFor (events) or of a Switch (a condition)."""

    when: Annotated[Events | AnyCondition, Bound(discriminator="kind")]
    steps: _AllSteps
    _: KW_ONLY
    kind: Literal["case"] = "case"

    @property
    def events(self) -> Events:
        """What a case of a WaitFor listens to."""
        return cast("Events", self.when)

    @property
    def condition(self) -> AnyCondition:
        """What a case of a Switch asks."""
        return cast("AnyCondition", self.when)


Cases: TypeAlias = Annotated[Sequence[Case], AfterValidator(tuple), Bound(exclude_if=_is_empty)]


@node
class WaitFor(Node):
    """Wait for the first of some events. `since` says from when on they count: "entry", "now" or a step id; else from the last Send."""

    id: str
    events: Events | None = None
    _: KW_ONLY
    cases: Cases = ()
    within: Duration | None = None
    until: Moment | None = None
    since: str | None = None
    then: Steps = ()
    otherwise: Steps = ()
    kind: Literal["wait_for"] = "wait_for"


@node
class If(Node):
    id: str
    condition: Condition
    _: KW_ONLY
    then: Steps = ()
    otherwise: Steps = ()
    kind: Literal["if"] = "if"


@node
class Switch(Node):
    """The first case whose condition holds."""

    id: str
    _: KW_ONLY
    cases: Annotated[Sequence[Case], AfterValidator(tuple)]
    otherwise: Steps = ()
    kind: Literal["switch"] = "switch"


@node
class Arm(Node):
    """A share of a Split, in percent."""

    name: str
    weight: int | float
    steps: _AllSteps
    _: KW_ONLY
    kind: Literal["arm"] = "arm"


@node
class Split(Node):
    """Sticky shares of the users: a pure hash decides (assign.py)."""

    id: str
    _: KW_ONLY
    arms: Annotated[Sequence[Arm], AfterValidator(tuple)]
    kind: Literal["split"] = "split"


@node
class Update(Node):
    """Set attributes of the user; None removes one."""

    id: str
    attributes: Payload
    _: KW_ONLY
    kind: Literal["update"] = "update"


@node
class Request(Node):
    """An HTTP request with a JSON body. `fill` has the values for {names} in the URL."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    _: KW_ONLY
    json: Json = None
    headers: Payload | None = None
    fill: Payload | None = None
    kind: Literal["request"] = "request"


@node
class Function(Node):
    """A registered Python function by its name."""

    name: str
    arguments: Payload | None = None
    _: KW_ONLY
    kind: Literal["function"] = "function"


@node
class Call(Node):
    """Call out, at least once, with a stable idempotency key. The JSON result is captured; `otherwise` runs when there is none."""

    id: str
    action: Annotated[Request | Function, Bound(discriminator="kind")]
    _: KW_ONLY
    otherwise: Steps = ()
    kind: Literal["call"] = "call"


@node
class Repeat(Node):
    """Run the steps again, so many times or until a condition holds; it is read before the first and after each pass."""

    id: str
    steps: _AllSteps
    _: KW_ONLY
    times: int | None = None
    until: Condition | None = None
    kind: Literal["repeat"] = "repeat"


@node
class Enter(Node):
    """Start another journey with these as its entry properties."""

    id: str
    journey: str
    properties: Payload = Object(())
    _: KW_ONLY
    kind: Literal["enter"] = "enter"


@node
class Exit(Node):
    """Leave this journey, for this reason."""

    id: str
    reason: str
    _: KW_ONLY
    kind: Literal["exit"] = "exit"


AnyStep: TypeAlias = Send | Wait | WaitFor | If | Switch | Split | Update | Call | Repeat | Enter | Exit
Step: TypeAlias = Annotated[AnyStep, Bound(discriminator="kind")]

for _recursive in (Send, Wait, Case, WaitFor, If, Switch, Arm, Split, Call, Repeat):
    rebuild_dataclass(cast("Any", _recursive), force=True)


def request(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    url: str,
    *,
    json: Any = None,
    headers: Mapping[str, Any] | None = None,
    fill: Mapping[str, Any] | None = None,
) -> Request:
    """An HTTP request. `fill={"order": entry("order_id")}` goes into `{order}` of the URL, percent-encoded."""
    return Request(method, url, json=json, headers=headers, fill=fill)


def function(name: str, arguments: Mapping[str, Any] | None = None) -> Function:
    return Function(name, arguments)
