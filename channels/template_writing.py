"""Running a compiled template, and stopping it when it writes too much."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Template

from channels.template_language import OUTPUT_LIMIT, TooLarge


def written(template: Template, variables: Mapping[str, Any]) -> str:
    """The output of `template`, at most OUTPUT_LIMIT characters. Raises TooLarge beyond, and what the template raises."""
    pieces: list[str] = []
    size = 0
    for piece in template.root_render_func(template.new_context(dict(variables))):
        size += len(piece)
        if size > OUTPUT_LIMIT:
            raise TooLarge("the output is too large")
        pieces.append(piece)
    return "".join(pieces)
