"""What a journal holds when somebody else finds it."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from activities.campaigns import journal
from activities.campaigns.journal import Journal, left_behind
from channels.base import Ambiguous, End, NotSent, Receipt, Rejected
from storage.campaign_sends import Chunk
from storage.messages import Claim

BEGAN = datetime(2026, 11, 1, 9, tzinfo=UTC)
CLAIMS = [Claim(UUID(int=n), 1, BEGAN.replace(microsecond=n)) for n in range(6)]
ENDS: tuple[End, ...] = (Receipt(), Rejected("550"), NotSent("450"), Ambiguous("cut"))
CHUNK = Chunk("demo", UUID(int=9), 4, 2, "message", [each.id for each in CLAIMS], BEGAN)


def test_a_page_comes_back_as_it_was_written_with_a_state_for_each(tmp_path: Path) -> None:
    written = Journal(tmp_path)
    written.open(CHUNK, CLAIMS)
    for place, end in enumerate(ENDS):
        written.begins(place)
        written.ended(place, end)
    written.begins(4)
    written.close()
    [left] = left_behind(tmp_path)
    assert left.page is not None
    assert (left.page.chunk, left.page.claims) == (CHUNK, CLAIMS)
    assert left.page.states == ["sent", "rejected", "planned", "unknown", "unknown", "planned"]


def test_a_journal_that_is_held_is_left_alone(tmp_path: Path) -> None:
    held = Journal(tmp_path)
    held.open(CHUNK, CLAIMS)
    assert list(left_behind(tmp_path)) == []
    held.close()


def test_a_page_of_another_release_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_FORM", 99)
        other = Journal(tmp_path)
        other.open(CHUNK, CLAIMS)
        other.close()
    [left] = left_behind(tmp_path)
    assert left.page is None
