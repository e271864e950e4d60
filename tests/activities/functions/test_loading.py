"""Registered functions: ours, a team's, and what cannot be used."""

from pathlib import Path

import pytest

from activities.functions.call import FunctionCall
from activities.functions.catalogue import FUNCTIONS
from activities.functions.loading import functions_of
from journeys.language.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
CALL = FunctionCall("demo", "ann", {"name": "Ann"}, {}, {}, {"subject": "late"}, "sj_1_chase_1")


def house(folder: Path, catalogue: str, **files: str) -> Path:
    room = folder / "functions"
    room.mkdir(parents=True)
    (room / "catalogue.py").write_text(catalogue)
    for name, text in files.items():
        (room / f"{name}.py").write_text(text)
    return folder


def team(folder: Path, answer: str) -> Path:
    text = (
        "from activities.functions.call import FunctionCall\n"
        f"async def open_ticket(call: FunctionCall):\n    return {{'said': '{answer}', 'to': call.user_id}}\n"
    )
    return house(folder, "from functions.open_ticket import open_ticket\nFUNCTIONS = {'open_ticket': open_ticket}\n", open_ticket=text)


def test_without_a_house_there_are_ours() -> None:
    assert functions_of(Path()) == functions_of(ROOT) == FUNCTIONS


def test_a_house_without_functions_has_none_even_in_the_folder_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert functions_of(Path()) == {}
    (tmp_path / "journeys").symlink_to(ROOT / "journeys")
    assert functions_of(Path()) == FUNCTIONS


def test_a_house_without_functions_has_none(tmp_path: Path) -> None:
    assert functions_of(tmp_path) == {}


async def test_a_team_registers_its_own(tmp_path: Path) -> None:
    found = functions_of(team(tmp_path / "one", "one"))
    assert await found["open_ticket"](CALL) == {"said": "one", "to": "ann"}


async def test_two_houses_do_not_mix(tmp_path: Path) -> None:
    one, other = functions_of(team(tmp_path / "one", "one")), functions_of(team(tmp_path / "other", "other"))
    assert [(await each["open_ticket"](CALL))["said"] for each in (one, other)] == ["one", "other"]


@pytest.mark.parametrize(
    ("catalogue", "words"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("FUNCTIONS = 3\n", "must be like"),
        ("FUNCTIONS = {'plain': len}\n", "plain: a function is"),  # not async: it would hold the whole worker
        ("", "FUNCTIONS"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, catalogue: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        functions_of(house(tmp_path, catalogue))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
async def test_a_demonstration_says_that_it_is_one(name: str) -> None:
    assert (await FUNCTIONS[name](CALL))["is_demo"] is True
