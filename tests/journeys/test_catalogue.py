"""What the house runs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import journeys
from journeys.catalogue import JOURNEYS, SEGMENTS
from journeys.language import Journey
from journeys.language.check import problems, warnings
from journeys.language.check_segments import segment_problems
from journeys.language.segments import segments_of
from tests.journeys.briefs import unrehearsed


def test_the_house_runs_eight_journeys_of_different_names() -> None:
    assert [journey.name for journey in JOURNEYS] == [
        "onboarding",
        "activation",
        "cart-recovery",
        "order-status",
        "win-back",
        "appointment",
        "renewal",
        "nps",
    ]


def test_each_file_of_the_room_is_in_the_catalogue() -> None:
    files = {file.stem for file in Path(journeys.__file__).parent.glob("*.py")} - {"__init__", "catalogue"}
    assert files == {journey.name.replace("-", "_") for journey in JOURNEYS}


def test_nothing_is_wrong_with_them() -> None:
    for journey in JOURNEYS:
        assert problems(journey) == []
    assert segment_problems({segment.name: segment.condition for segment in SEGMENTS}) == []


def test_every_segment_that_they_name_is_one_of_the_house_in_a_file_of_its_own() -> None:
    named = {name for journey in JOURNEYS for name in segments_of(journey)}
    files = {file.stem for file in (Path(journeys.__file__).parent / "segments").glob("*.py")} - {"__init__"}
    assert named == {segment.name for segment in SEGMENTS} == {name.replace("_", "-") for name in files}


def test_only_a_start_by_segment_is_warned_of() -> None:
    warned = [warning.pointer for journey in JOURNEYS for warning in warnings(journey)]
    assert set(warned) == {"win-back/starts_on"}


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_its_brief_rehearses_every_branch(journey: Journey) -> None:
    brief = importlib.import_module(f"tests.journeys.test_{journey.name.replace('-', '_')}")
    assert unrehearsed(journey, brief) == []


def test_every_journey_has_a_rehearsal_kept_as_a_file_and_all_come_out_as_expected() -> None:
    kept = {folder.name for folder in (Path(journeys.__file__).parent / "rehearsals").iterdir()}
    assert kept == {journey.name for journey in JOURNEYS}
    command = [sys.executable, "-m", "cli.sojourn", "rehearse", "--all"]
    played = subprocess.run(command, cwd=Path(journeys.__file__).parents[1], capture_output=True, text=True, timeout=180, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
