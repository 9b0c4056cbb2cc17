"""Which model is served, from what a run left in its output folder."""

import json

import pytest

from core.errors import UserError
from serving.model.kept_round import KeptRound
from tests.serving.conftest import add_round
from tests.serving.pairs import PAIRS


def test_the_best_round_is_served_not_the_last(run_folder):
    add_round(run_folder, 2)
    assert KeptRound.find(run_folder).round == 1


def test_another_round_is_served_on_request(run_folder):
    add_round(run_folder, 2, blessed=False)
    kept = KeptRound.find(run_folder, 2)
    assert (kept.round, kept.blessed) == (2, False)


def test_the_evaluated_responses_come_with_the_round(run_folder):
    answered = KeptRound.find(run_folder).answered()
    assert [(row.prompt, row.response, row.finish) for row in answered] == [
        (*pair, "stop") for pair in PAIRS
    ]


def test_only_the_tuned_models_first_response_to_a_prompt_counts(run_folder):
    file = run_folder / "tfx" / "report" / "verdicts.jsonl"
    first, *others = file.read_text().splitlines()
    second_sample = json.dumps(json.loads(first) | {"response": "second"})
    base = json.dumps(json.loads(first) | {"model": "base", "response": "base"})
    file.write_text("\n".join([base, first, second_sample, *others]))
    assert KeptRound.find(run_folder).answered()[0].response == PAIRS[0][1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "summary.json").unlink(), "make run.*serving.model.url"),
        (lambda folder: (folder / "summary.json").write_text("{"), "summary.json.*Run the pipe"),
        (lambda folder: (folder / "tfx").rename(folder / "gone"), "round 1 is not at"),
    ],
    ids=["no run", "damaged", "no model"],
)
def test_a_run_that_cannot_be_served_says_what_to_do(run_folder, damage, message):
    damage(run_folder)
    with pytest.raises(UserError, match=message):
        KeptRound.find(run_folder)


def test_an_unknown_round_names_those_there_are(run_folder):
    with pytest.raises(UserError, match=r"no round 7 .*has 1.*--round"):
        KeptRound.find(run_folder, 7)
