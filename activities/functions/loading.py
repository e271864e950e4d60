"""Finds the registered functions of a house: those of the team's folder, else Sojourn's own."""

import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import journeys
from activities.functions import catalogue
from activities.functions.call import Function
from journeys.language.errors import ConfigurationError

_CATALOGUE = Path("functions") / "catalogue.py"
_OUR_JOURNEYS = Path(str(journeys.__file__)).resolve().parent


def functions_of(house: Path) -> Mapping[str, Function]:
    """The functions that `<house>/functions/catalogue.py` names; a house without that file has none, and Sojourn's own has ours.

    The catalogue is run, so call this once a process. Raises ConfigurationError for one that cannot be imported or names no function.
    """
    folder = house.resolve()
    if (folder / _CATALOGUE).is_file():
        return _checked(_import(folder))
    return catalogue.FUNCTIONS if is_ours(folder) else {}


def is_ours(house: Path) -> bool:
    """Tell whether the journeys of this folder are Sojourn's own, which call Sojourn's own functions."""
    return (house / "journeys").resolve() == _OUR_JOURNEYS


def _import(folder: Path) -> Any:
    """Import `functions.catalogue` of this house. It comes last on the path: `journeys` and `tests` in it must not hide ours."""
    for name in [name for name in sys.modules if name == "functions" or name.startswith("functions.")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.path.append(str(folder))
    try:
        return importlib.import_module("functions.catalogue").FUNCTIONS
    except Exception as error:
        raise ConfigurationError(f"{folder / _CATALOGUE} cannot be used: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(folder))


def _checked(found: Any) -> Mapping[str, Function]:
    if not isinstance(found, Mapping):
        raise ConfigurationError('functions/catalogue.py: FUNCTIONS must be like {"open_ticket": open_ticket}')
    wrong = [str(name) for name, each in found.items() if not isinstance(name, str) or not inspect.iscoroutinefunction(each)]
    if wrong:
        raise ConfigurationError(f"functions/catalogue.py: {', '.join(sorted(wrong))}: a function is `async def name(call: FunctionCall)`")
    return found
