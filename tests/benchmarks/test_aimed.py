"""What the benchmark `aimed` makes of its pairs; the rounds themselves take minutes."""

import pytest
from scipy import stats

from benchmarks import aimed
from benchmarks.aimed import ARMS, GROUPS, gains, is_narrow, table, verdict
from benchmarks.student import interval


def pair(first, aimed, uniform, calls=200):
    def result(rate):
        return {"rates": dict.fromkeys(GROUPS, rate), "calls": calls, "rows": 120}

    return {"first": result(first), "aimed": result(aimed), "uniform": result(uniform)}


@pytest.mark.parametrize("count", [2, 5, 20])
def test_intervals_are_student_s(count):
    values = [float(n * n) for n in range(count)]
    low, high = stats.t.interval(0.95, count - 1, loc=sum(values) / count, scale=stats.sem(values))
    assert interval(values)[1:] == pytest.approx((low, high), rel=1e-3)


def test_gains_are_counted_per_1000_calls():
    assert gains([pair(30, 40, 30), pair(50, 45, 50, calls=100)], "aimed", "holdout") == [50, -50]


@pytest.mark.parametrize(
    ("aimed", "said"),
    [((44, 46, 45), "gained more"), ((34, 36, 35), "gained less"), ((10, 70, 41), "holds zero")],
)
def test_the_verdict_follows_the_paired_difference(aimed, said):
    pairs = [pair(30, rate, 40) for rate in aimed]
    assert said in verdict(pairs)
    assert table(pairs).count("\n| ") == len(GROUPS)
    assert set(ARMS) == {"aimed", "uniform"}


def test_pairs_are_added_until_the_interval_is_narrow():
    alike = [pair(30, 40 + n / 10, 40) for n in range(5)]
    apart = [pair(30, rate, 40) for rate in (10, 70, 41, 20, 60)]
    assert not is_narrow(alike[:4]), "too few to tell"
    assert is_narrow(alike)
    assert not is_narrow(apart)


def test_a_pair_that_is_recorded_is_not_run_again(tmp_path, monkeypatch):
    file, made = tmp_path / "pairs.jsonl", []
    file.touch()

    def ours(*arguments):
        made.append(arguments)
        return pair(30, 40, 30)

    monkeypatch.setattr(aimed.processes, "ours", ours)
    first = aimed.pair_of(3, 120, tmp_path, file)
    assert aimed.pair_of(3, 120, tmp_path, file) == first
    assert len(made) == 1
    aimed.pair_of(4, 120, tmp_path, file)
    aimed.pair_of(3, 60, tmp_path, file)
    monkeypatch.setattr(aimed, "presets", lambda: "other")
    aimed.pair_of(3, 120, tmp_path, file)
    assert [call[1:3] for call in made] == [("3", "120"), ("4", "120"), ("3", "60"), ("3", "120")]
