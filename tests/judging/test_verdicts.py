import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import VerdictRow, Vote
from judging.schemas import Verdict
from judging.settings import EvaluatorSettings
from judging.verdicts import aggregate, vote_of


def _vote(similarity, correctness, reason="r", position="a"):
    return Vote(similarity, correctness, 5, reason, position)


def test_a_vote_takes_the_score_of_the_responses_position():
    verdict = Verdict(reason="r", similarity=3, correctness_a=1, correctness_b=5)
    assert vote_of(verdict, "a") == Vote(3, 1, 5, "r", "a")
    assert vote_of(verdict, "b") == Vote(3, 5, 1, "r", "b")


@pytest.mark.parametrize(
    ("similarity", "correctness", "covered"),
    [(4, 4, True), (5, 3, False), (3, 5, False), (5, 5, True), (1, 1, False)],
)
def test_a_response_covers_when_both_scores_reach_their_thresholds(
    similarity, correctness, covered
):
    judgement = aggregate([_vote(similarity, correctness)], EvaluatorSettings(votes=1))
    assert (judgement.covered, judgement.scored) == (covered, True)


def test_by_the_rule_correct_a_right_answer_need_not_be_like_the_reference():
    settings = EvaluatorSettings(votes=1, gate={"rule": "correct"})
    assert aggregate([_vote(2, 4)], settings).covered
    assert not aggregate([_vote(5, 3)], settings).covered


@pytest.mark.parametrize(
    ("votes", "scored"),
    [
        pytest.param([None], False, id="none of one"),
        pytest.param([_vote(5, 5), None], False, id="half"),
        pytest.param([_vote(5, 5), _vote(5, 5), None], True, id="two of three"),
    ],
)
def test_a_response_is_scored_when_most_votes_can_be_read(votes, scored):
    judgement = aggregate(votes, EvaluatorSettings(), ["bad_output"])
    assert judgement.scored is scored
    assert judgement.covered is scored, "an unscored response is not covered"
    if not scored:
        assert "bad_output" in judgement.reason
        assert judgement.similarity is None


def test_one_wild_vote_of_three_decides_nothing():
    votes = [_vote(5, 5), _vote(1, 1), _vote(4, 5)]
    judgement = aggregate(votes, EvaluatorSettings())
    assert (judgement.covered, judgement.similarity, judgement.correctness) == (True, 4.0, 5.0)


def test_two_votes_that_disagree_are_averaged():
    judgement = aggregate([_vote(5, 5), _vote(2, 5)], EvaluatorSettings())
    assert (judgement.covered, judgement.similarity) == (False, 3.5)


def test_the_reason_is_that_of_a_vote_which_agrees_with_the_outcome():
    votes = [_vote(5, 5, "good"), _vote(2, 2, "bad"), _vote(1, 2, "worse")]
    assert aggregate(votes, EvaluatorSettings()).reason == "bad"


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_row_survives_writing_and_reading(text):
    row = VerdictRow(
        model="tuned",
        id="1",
        split="seed",
        tags=("typos",),
        prompt=text,
        output=text,
        response=text,
        finish="stop",
        sample=0,
        covered=True,
        scored=True,
        similarity=4.5,
        correctness=5.0,
        reason=text,
        votes=(_vote(4, 5, text), _vote(5, 5, text, "b")),
        scores={"rouge_l": None},
    )
    line = row.to_json()
    assert "\n" not in line
    assert VerdictRow.from_json(line) == row
