import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.plan import PlannedRequest, make_plan
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings

VALUES = AttributeSets(
    **{name: [f"{name} {n}" for n in range(5)] for name in AttributeSets.model_fields}
)
WEIGHTS = {f"seed-{n}": 1.0 for n in range(12)}


def plan(round: int = 1, batch: int = 0, prompts: int = 40, weights=None, **settings):
    return make_plan(
        weights or WEIGHTS,
        VALUES,
        SynthSettings(**settings),
        round=round,
        batch=batch,
        prompts=prompts,
    )


def test_the_same_seed_number_and_round_give_the_same_plan():
    assert plan(round=2, seed=5) == plan(round=2, seed=5)


@pytest.mark.parametrize(
    "other",
    [{"round": 2}, {"batch": 1}, {"seed": 1}],
    ids=["another-round", "another-batch", "another-seed-number"],
)
def test_plans_differ(other):
    assert plan() != plan(**other)


def test_the_plan_does_not_depend_on_the_order_of_the_seeds():
    assert plan() == plan(weights=dict(reversed(WEIGHTS.items())))


@given(
    prompts=st.integers(1, 60),
    per_request=st.integers(1, 10),
    shown=st.integers(1, 20),
    seeds=st.integers(1, 15),
)
def test_a_plan_asks_for_exactly_the_prompts_that_are_wanted(prompts, per_request, shown, seeds):
    weights = {f"s{n}": 1.0 for n in range(seeds)}
    requests: list[PlannedRequest] = plan(
        prompts=prompts,
        weights=weights,
        prompts_per_request=per_request,
        examples_per_request=shown,
    )
    assert sum(len(request.wanted) for request in requests) == prompts
    assert [request.number for request in requests] == list(range(len(requests)))
    for request in requests:
        assert len(set(request.seed_ids)) == len(request.seed_ids) == min(shown, seeds)
        assert all(wanted.like_seed in request.seed_ids for wanted in request.wanted)


def test_every_seed_is_shown_before_an_equal_one_is_shown_again():
    requests = plan(prompts=16, prompts_per_request=8, examples_per_request=6)
    shown = Counter(itertools.chain.from_iterable(request.seed_ids for request in requests))
    assert shown == Counter(WEIGHTS.keys())


def test_seeds_are_shown_in_proportion_to_their_weights():
    weights = {"often": 3.0, "seldom": 1.0, "a": 2.0, "b": 2.0}
    requests = plan(prompts=400, weights=weights, prompts_per_request=1, examples_per_request=1)
    shown = Counter(request.seed_ids[0] for request in requests)
    assert shown["often"] / shown["seldom"] == pytest.approx(3, rel=0.05)


def test_attribute_values_are_used_evenly():
    wanted = [w for request in plan(prompts=50) for w in request.wanted]
    assert Counter(w.attributes["tone"] for w in wanted) == {f"tone {n}": 10 for n in range(5)}


@pytest.mark.parametrize("fraction", [0.0, 1.0], ids=["never", "always"])
def test_edge_cases_are_drawn_as_often_as_configured(fraction):
    wanted = [w for request in plan(edge_case_fraction=fraction) for w in request.wanted]
    assert sum("edge_case" in w.attributes for w in wanted) == fraction * len(wanted)


def test_an_attribute_without_values_is_left_open():
    values = VALUES.model_copy(update={"persona": []})
    (request,) = make_plan(WEIGHTS, values, SynthSettings(), round=1, batch=0, prompts=1)
    assert "persona" not in request.wanted[0].attributes
