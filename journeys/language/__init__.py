"""What an author of journeys writes: `from journeys.language import Journey, Send, Wait, days, email, event`.

The words stand in authoring.py, and are loaded with the first that is asked for: what needs no more than errors.py, as the process that
reads templates does, stays small.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from journeys.language.authoring import *  # noqa: F403
    from journeys.language.authoring import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        if find_spec(f"{__name__}.{name}") is not None:
            raise AttributeError(name)  # Python imports a file of this folder by itself.
        return getattr(import_module(f"{__name__}.authoring"), name)
