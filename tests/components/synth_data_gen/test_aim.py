import dataclasses
import json

import pytest

from components.synth_data_gen.aim import aimed_weights, uniform_weights, verdicts_on_seeds
from core.records import CoverageRow
from tests.evaluation import verdict


@pytest.fixture
def texts(seeds):
    """Seeds whose outputs are free text."""
    return [dataclasses.replace(seed, output=f"Answer {seed.id}.") for seed in seeds]


def verdicts(failed, seeds):
    return [verdict(seed, "tuned", seed.id not in failed) for seed in seeds]


def row(**changes):
    seed = CoverageRow("a", "prompt", "output", "seed")
    return dataclasses.replace(verdict(seed, "tuned", False), **changes)


@pytest.mark.parametrize(
    "changes",
    [{"split": "holdout"}, {"model": "base"}, {"scored": False}],
    ids=["holdout", "base-model", "unscored"],
)
def test_only_scored_verdicts_of_the_tuned_model_on_seeds_count(changes):
    assert verdicts_on_seeds([row(id="x", **changes), row()]) == [row()]


def test_nothing_failed_leaves_the_weights_uniform(seeds):
    assert aimed_weights(seeds, verdicts(set(), seeds), 0.3) == uniform_weights(seeds)
    assert aimed_weights(seeds, [], 0.3) == uniform_weights(seeds)


def test_failed_texts_and_their_tags_get_more_weight(texts):
    failed = {seed.id for seed in texts if "odd" in seed.tags} - {"seed-1"}
    weights = aimed_weights(texts, verdicts(failed, texts), 0.3)
    assert weights["seed-3"] > weights["seed-1"], "its own failure counts"
    assert weights["seed-1"] > weights["seed-0"], "the failures of its tag count"


def ticket(priority, product="Lamp"):
    return json.dumps({"priority": priority, "product": product})


def tickets(*outputs):
    return [CoverageRow(str(n), f"prompt {n}", out, "seed") for n, out in enumerate(outputs)]


def answered(rows, answers):
    """Verdicts of a judge that covers nothing: only the answers tell seeds apart."""
    return [
        dataclasses.replace(verdict(row, "tuned", False), response=answer)
        for row, answer in zip(rows, answers, strict=True)
    ]


def test_a_value_that_was_confused_gets_more_weight_wherever_it_appears():
    rows = tickets(*[ticket("low")] * 4, *[ticket("normal")] * 8)
    answers = [ticket("normal")] * 3 + [ticket("low")] + [ticket("normal")] * 8
    weights = aimed_weights(rows, answered(rows, answers), 0.0)
    assert weights["3"] > 2 * weights["4"], "answered right itself, but its value was confused"


def test_all_seeds_not_covered_is_no_information_and_their_fields_are():
    rows = tickets(*[ticket("low")] * 6, *[ticket("high")] * 6)
    answers = [ticket("high", "Lamp")] * 6 + [ticket("high", "Lamp")] * 6
    weights = aimed_weights(rows, answered(rows, answers), 0.0)
    assert weights["0"] > weights["6"]


def test_values_that_are_rare_among_kept_rows_get_more_weight():
    rows = tickets(*[ticket("low")] * 5, *[ticket("high")] * 5)
    right = answered(rows, [row.output for row in rows])
    kept = [ticket("high")] * 90 + [ticket("low")] * 10
    weights = aimed_weights(rows, right, 0.0, kept)
    assert weights["0"] > 5 * weights["9"]
    even = aimed_weights(rows, right, 0.0, [ticket("high")] * 50 + [ticket("low")] * 50)
    assert even == uniform_weights(rows), "nothing failed, and the mix is that of the seeds"


def test_a_field_that_kept_rows_lack_is_rare_whatever_its_value():
    """Names differ from row to row; whether one is given at all is what the mix shows."""
    names = [json.dumps({"kind": "visit", "branch": f"branch {n}"}) for n in range(25)]
    rows = tickets(*names, *[json.dumps({"kind": "visit"})] * 25)
    kept = [json.dumps({"kind": "visit"})] * 9 + [names[0]]
    weights = aimed_weights(rows, [], 0.0, kept)
    assert weights["3"] > 5 * weights["30"]


@pytest.mark.parametrize("floor", [0.0, 0.3, 1.0])
def test_no_seed_falls_below_the_floor(seeds, floor):
    weights = aimed_weights(seeds, verdicts({"seed-5"}, seeds), floor)
    assert min(weights.values()) >= max(floor, 1e-3)
    assert sum(weights.values()) / len(weights) == pytest.approx(1, abs=0.01)


def test_the_samples_of_a_seed_are_averaged(texts):
    mixed = [verdict(texts[0], "tuned", covered) for covered in (True, False)]
    failed = [verdict(texts[2], "tuned", False)] * 2
    rest = [v for v in verdicts(set(), texts) if v.id not in {"seed-0", "seed-2"}]
    weights = aimed_weights(texts, mixed + failed + rest, 0.0)
    assert weights["seed-2"] > weights["seed-0"] > weights["seed-4"]


def test_seeds_that_hardly_repeat_are_labels_where_the_whole_dataset_repeats_them():
    rows = tickets(*(f"label {n}" for n in range(12)))
    answers = ["label 0"] * 12
    weights = aimed_weights(
        rows, answered(rows, answers), 0.0, references=[f"label {n % 12}" for n in range(72)]
    )
    assert weights["1"] > 1.4 * weights["0"]
