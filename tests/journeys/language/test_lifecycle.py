"""The life of a campaign: every act in every state."""

from itertools import product
from typing import get_args

import pytest

from journeys.language.errors import Conflict
from journeys.language.lifecycle import FROM, Act, Ahead, State, after

NOTHING = Ahead(goes_on=False, begins_later=False)
NOW = Ahead(goes_on=True, begins_later=False)
LATER = Ahead(goes_on=False, begins_later=True)


@pytest.mark.parametrize(
    ("act", "state", "ahead", "then"),
    [
        ("submit", "draft", NOTHING, "in_review"),
        ("approve", "in_review", NOTHING, "in_review"),
        ("send_back", "in_review", NOTHING, "draft"),
        ("launch", "draft", NOW, "running"),
        ("launch", "finished", LATER, "scheduled"),
        ("begin", "scheduled", NOW, "running"),
        ("pause", "scheduled", LATER, "paused"),
        ("resume", "paused", LATER, "scheduled"),
        ("resume", "paused", Ahead(goes_on=True, begins_later=True), "running"),
        # Its only run ended while it was paused.
        ("resume", "paused", NOTHING, "finished"),
        ("end", "running", NOTHING, "finished"),
        ("end", "running", LATER, "scheduled"),
        ("stop", "running", NOTHING, "stopped"),
        ("resend", "stopped", NOW, "running"),
    ],
)
def test_an_act_leads_to_a_state(act: Act, state: State, ahead: Ahead, then: State) -> None:
    assert after(act, state, ahead) == then


@pytest.mark.parametrize(("act", "state"), [pair for pair in product(get_args(Act), get_args(State)) if pair[1] not in FROM[pair[0]]])
def test_every_other_act_is_refused_and_says_which_states_allow_it(act: Act, state: State) -> None:
    with pytest.raises(Conflict, match=f"this campaign is {state.replace('_', ' ')}: .* needs one that is "):
        after(act, state, NOTHING)


def test_what_is_launched_cannot_be_launched_a_second_time() -> None:
    assert FROM["launch"] & {"scheduled", "running", "paused"} == set()
