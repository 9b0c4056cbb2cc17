"""The benchmark of training: what it derives from its measurements."""

import pytest

from benchmarks.training import Pace, trainings_table


def test_a_training_takes_its_start_and_its_tokens():
    pace = Pace.of(tokens=1000, with_start=50, rate=100)
    assert pace == Pace(10, 100)
    assert pace.seconds(1000) == 20
    assert pace.seconds(1_000_000) == 10_010


def test_a_rate_that_scatters_makes_no_start_below_nothing():
    assert Pace.of(tokens=1000, with_start=101, rate=100).start_seconds == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_table_shows_when_one_program_overtakes_another(dtype):
    table = trainings_table({dtype: {"ours": Pace(20, 400), "peer": Pace(0, 200)}})
    assert table.splitlines()[2:] == [
        f"| {dtype} | ours | 20.0 | 22 s | 45 s | 270 s | 2,520 s |",
        f"| {dtype} | peer | 0.0 | 5 s | 50 s | 500 s | 5,000 s |",
    ]
