import json

import pytest

from components.records import CoverageRow
from components.synth_data_gen.aim import Verdict, aimed_weights, read_verdicts, uniform_weights


def verdicts(failed, seeds):
    return [Verdict(s.id, "seed", "tuned", s.id not in failed, True) for s in seeds]


def line(**changes):
    row = {"id": "a", "split": "seed", "model": "tuned", "covered": False, "scored": True}
    return json.dumps(row | {"reason": "…"} | changes)


@pytest.mark.parametrize(
    "changes",
    [{"split": "holdout"}, {"model": "base"}, {"scored": False}],
    ids=["holdout", "base-model", "unscored"],
)
def test_only_scored_verdicts_of_the_tuned_model_on_seeds_are_read(changes):
    text = "\n".join([line(id="x", **changes), "", line()])
    assert read_verdicts(text, "verdicts.jsonl") == [Verdict("a", "seed", "tuned", False, True)]


def test_nothing_failed_leaves_the_weights_uniform(seeds):
    assert aimed_weights(seeds, verdicts(set(), seeds), 0.3) == uniform_weights(seeds)
    assert aimed_weights(seeds, [], 0.3) == uniform_weights(seeds)


def test_failed_seeds_and_their_tags_get_more_weight(seeds):
    failed = {seed.id for seed in seeds if "odd" in seed.tags} - {"seed-1"}
    weights = aimed_weights(seeds, verdicts(failed, seeds), 0.3)
    assert weights["seed-3"] > weights["seed-1"], "its own failure counts"
    assert weights["seed-1"] > weights["seed-0"], "the failures of its tag count"


def test_neighbours_of_a_failed_seed_get_more_weight():
    texts = ["the kettle leaks hot water", "the kettle leaks cold water", "an invoice is missing"]
    fillers = ["zebra quartz", "lamp jumbo", "vexing dwarf"]
    seeds = [CoverageRow(str(n), text, "", "seed") for n, text in enumerate(texts + fillers)]
    weights = aimed_weights(seeds, verdicts({"0"}, seeds), 0.0)
    assert weights["1"] > weights["2"]


@pytest.mark.parametrize("floor", [0.0, 0.3, 1.0])
def test_no_seed_falls_below_the_floor(seeds, floor):
    weights = aimed_weights(seeds, verdicts({"seed-5"}, seeds), floor)
    assert min(weights.values()) >= max(floor, 1e-3)
    assert sum(weights.values()) / len(weights) == pytest.approx(1, abs=0.01)


def test_the_samples_of_a_seed_are_averaged(seeds):
    mixed = [Verdict("seed-0", "seed", "tuned", covered, True) for covered in (True, False)]
    failed = [Verdict("seed-2", "seed", "tuned", False, True)] * 2
    rest = [v for v in verdicts(set(), seeds) if v.id not in {"seed-0", "seed-2"}]
    weights = aimed_weights(seeds, mixed + failed + rest, 0.0)
    assert weights["seed-2"] > weights["seed-0"] > weights["seed-4"]
