"""What requests took, added up."""

import pytest

from core.usage import Usage

FIRST = Usage(calls=2, prompt_tokens=10, output_tokens=3, cost_usd=0.25, unknown_calls=1)
SECOND = Usage(calls=1, prompt_tokens=5, output_tokens=4, cost_usd=0.5)


def test_all_counts_and_costs_are_added():
    both = FIRST + SECOND
    assert (both.calls, both.prompt_tokens, both.output_tokens) == (3, 15, 7)
    assert (both.cost_usd, both.unknown_calls) == (0.75, 1)


@pytest.mark.parametrize("unpriced", [Usage(cost_usd=None), Usage(calls=1, cost_usd=None)])
def test_a_sum_with_an_unknown_cost_is_unknown(unpriced):
    assert (FIRST + unpriced).cost_usd is None
    assert (unpriced + FIRST).cost_usd is None


def test_nothing_costs_nothing():
    assert Usage().cost_usd == 0.0
    assert FIRST + Usage() == FIRST


def test_versions_are_a_set_that_makes_no_difference():
    old, new = Usage(model_versions=("m-1",)), Usage(model_versions=("m-2", "m-1"))
    assert (new + old).model_versions == ("m-2", "m-1")
    assert (old + new).model_versions == ("m-1", "m-2")
    assert old == new
