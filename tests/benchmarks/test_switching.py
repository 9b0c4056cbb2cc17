"""The simulation of verdicts decides as the product does, and gives what the guide says of it."""

import pathlib
import re

import numpy as np
import pytest

from benchmarks import switching
from core.reports.switch import NOT_YET, SAFE, WORSE
from judging.switching import ScoredPair, decide

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "cutover.md"
EACH = 0.05  # where both are as good, they differ on 10 % of the requests
STREAMS = 40
TRUTHS = [(0.0, "safe"), (-0.02, "safe"), (-0.05, "worse")]
STATES = {"safe": SAFE, "worse": WORSE}


def drawn(truth, streams=STREAMS, seed=2):
    generator = np.random.default_rng(seed)
    return [switching.differences(generator, truth, EACH) for _ in range(streams)]


def told():
    """How many pairs decide half of the cases, in the guide's row of 10 %: as good, 2, 5 worse."""
    [row] = re.findall(r"^\| 10 % \|(.+)\|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [int(cell.replace(",", "")) for cell in row.split("|")[-3:]]


@pytest.mark.parametrize(
    ("truth", "state", "position"), [(*truth, n) for n, truth in enumerate(TRUTHS)]
)
def test_verdicts_come_by_the_number_of_pairs_that_the_guide_gives(truth, state, position):
    found = [switching.by_betting(values) for values in drawn(truth)]
    states = [stream.state for stream in found]
    assert states.count(state) >= 0.9 * STREAMS, states
    assert states.count("worse" if state == "safe" else "safe") <= 0.05 * STREAMS
    half = np.median([min(stream.safe, stream.worse) for stream in found])
    # A median of 40 streams scatters by a fifth.
    assert half == pytest.approx(told()[position], rel=0.3)


@pytest.mark.parametrize(("truth", "state"), TRUTHS)
def test_the_product_decides_at_the_same_pair(truth, state):
    [values] = drawn(truth, streams=1, seed=5)
    found = switching.by_betting(values)
    size = int(min(found.safe, found.worse))
    pairs = [ScoredPair(float(value < 0), float(value > 0)) for value in values[:size]]
    margin = 100 * switching._MARGIN
    assert (found.state, decide(pairs, margin).state) == (state, STATES[state])
    assert decide(pairs[:-1], margin).state == NOT_YET


def test_however_often_one_looks_at_most_1_verdict_in_20_is_wrong():
    """The peer is the interval that dashboards draw: looked at as often, it is wrong in a half."""
    ours, peer = switching._wrong(STREAMS, EACH, -switching._MARGIN)
    assert ours <= 0.05
    assert peer > 0.25
