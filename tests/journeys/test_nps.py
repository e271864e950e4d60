"""Ten days after delivery: would you recommend us? Asked again after four; a review, thanks, or a ticket, by what they say."""

from typing import Any

from journeys.language import days, rehearse
from journeys.language.durations import Duration
from journeys.nps import journey
from tests.journeys.briefs import sent_at

NEXT_DAY = days(11)


def answer(score: Any, after: Duration = NEXT_DAY, survey: str = "nps") -> tuple[Duration, str, dict[str, Any]]:
    return (after, "survey_answered", {"survey": survey, "score": score})


def test_who_is_delighted_is_asked_for_a_review() -> None:
    for score in (9, 10):
        assert rehearse(journey, [answer(score)]).sent == ["question", "review"]


def test_who_is_content_is_thanked() -> None:
    for score in (7, 8, 8.5):
        assert rehearse(journey, [answer(score)]).sent == ["question", "thanks"]


def test_somebody_looks_after_who_is_unhappy() -> None:
    for score in (0, 6):
        unhappy = rehearse(journey, [answer(score)])
        assert (unhappy.sent, unhappy.called) == (["question"], ["ticket"])


def test_a_ticket_that_cannot_be_opened_is_told_by_mail() -> None:
    assert rehearse(journey, [answer(3)], refused=["ticket"]).sent == ["question", "told_by_mail"]


def test_who_does_not_answer_is_asked_a_second_time_and_no_third() -> None:
    silent = rehearse(journey)
    assert silent.sent == ["question", "question"]
    assert silent.ended == "no answer"
    assert sent_at(silent, "question") == "Thu 2026-03-12 12:00"


def test_a_late_answer_to_the_first_question_counts() -> None:
    assert rehearse(journey, [answer(10, days(15))]).sent == ["question", "question", "review"]


def test_an_answer_to_another_survey_or_without_a_number_does_not_count() -> None:
    assert rehearse(journey, [answer(10, survey="website"), answer("9", days(12))]).sent == ["question", "question"]


def test_who_sent_it_back_is_not_asked() -> None:
    assert rehearse(journey, [(days(5), "order_returned")]).sent == []


def test_who_closes_the_account_is_not_asked() -> None:
    assert rehearse(journey, [(days(12), "account_closed")]).sent == ["question"]
