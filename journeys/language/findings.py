"""Where in a journey something was found, and what is known there: what the checks hand to each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from journeys.language.errors import Problem
from journeys.language.steps import AnyStep


@dataclass(frozen=True)
class Place:
    """One place of a journey: a step, or a field of the journey itself.

    `earlier` are the steps that have begun when this place is reached; `around` those that an enclosing Repeat may have run before.
    `is_segment`: it is the condition of a segment, which alone may ask SQL.
    """

    journey: str
    name: str = ""
    earlier: Mapping[str, AnyStep] = field(default_factory=dict)
    around: Mapping[str, AnyStep] = field(default_factory=dict)
    is_segment: bool = False

    def at(self, name: str) -> "Place":
        return replace(self, name=name)

    def after(self, steps: Iterable[AnyStep]) -> "Place":
        return replace(self, earlier={**self.earlier, **{step.id: step for step in steps}})

    def repeating(self, steps: Iterable[AnyStep]) -> "Place":
        return replace(self, around={**self.around, **{step.id: step for step in steps}})

    def known(self, step: str) -> AnyStep | None:
        """A step that may have run before this place is reached, in this pass or in an earlier one."""
        return self.earlier.get(step) or self.around.get(step)

    def problem(self, code: str, message: str) -> Problem:
        return Problem(f"{self.journey}/{self.name}" if self.name else self.journey, code, message)
