"""What `check`, `estimate` and the filters do grows at most as the rows do.

Counted are calls of functions, built-in ones included, and the most memory at once, which a table
of all pairs would fill. Seconds of 2,000 and 20,000 rows are measured by `benchmarks.own_data`.
"""

import cProfile
import functools
import json
import tracemalloc

import pytest

from benchmarks.dedup import planted_corpus
from benchmarks.own_data import rows
from components.synth_data_gen.filters.decontaminate import CoverageIndex
from core.records import CoverageRow
from pipeline import lengths
from pipeline.check import check_task
from pipeline.config import load_config
from pipeline.estimate import estimate_text
from task.coverage.persisted import persist_splits
from task.duplicates import find_duplicates

FEW, MANY = 500, 2_000
SLACK = 1.25  # words and n-grams that come back later, logarithms of sorting


def calls(work):
    """How many calls of functions some work makes."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def peak(work):
    """Bytes that some work takes at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def config_of(folder, count):
    folder = folder / str(count)
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows(count))
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    persist_splits(str(folder))
    # Of what is not one of the rows, as little as can be.
    settings = ["synth.rows_per_round=50", "rounds.max_rounds=1", f"coverage_dir={folder}"]
    return load_config("offline", settings, environ={})


def assert_linear(measure, work_of, few=FEW, many=MANY):
    """Compare the work on few and on many rows; a first run does what is done once."""
    work_of(few)()
    small, large = measure(work_of(few)), measure(work_of(many))
    assert small > few, "it is what was meant to be counted"
    assert large <= SLACK * many / few * small, (small, large)


def command_of(command, folder, counts):
    configs = {count: config_of(folder, count) for count in counts}

    def work(count):
        lengths._measure.cache_clear()  # of the last rows
        command(configs[count])

    return lambda count: functools.partial(work, count)


@pytest.fixture(autouse=True)
def speed(monkeypatch):
    """The machine's, which is measured in as many products as half a second has."""
    monkeypatch.setattr("pipeline.machine_time._operations_per_second", lambda: 1e11)


SIZES = (
    pytest.param(FEW // 4, MANY // 4, id="hundreds"),
    pytest.param(FEW, MANY, id="two thousand", marks=pytest.mark.slow),
    pytest.param(MANY, 10 * MANY, id="twenty thousand", marks=pytest.mark.soak),
)


@pytest.mark.parametrize(("few", "many"), SIZES)
def test_check(tmp_path, few, many):
    assert_linear(calls, command_of(check_task, tmp_path, (few, many)), few, many)


@pytest.mark.slow
def test_check_keeps_no_table_of_all_pairs(tmp_path):
    assert_linear(peak, command_of(check_task, tmp_path, (FEW, MANY)))


@pytest.mark.parametrize(("few", "many"), SIZES[1:])
def test_estimate(tmp_path, few, many):
    assert_linear(calls, command_of(estimate_text, tmp_path, (few, many)), few, many)


def prompts(count):
    return [row["prompt"] for row in rows(count)]


def coverage(count):
    return [CoverageRow(f"r{n}", text, "x", "seed") for n, text in enumerate(prompts(count))]


@pytest.mark.parametrize("measure", [calls, peak])
def test_the_leak_index(measure):
    made = {count: coverage(count) for count in (FEW // 2, MANY // 2)}
    assert_linear(measure, lambda count: lambda: CoverageIndex(made[count]), *made)


def test_a_prompt_that_is_looked_for_in_the_leak_index():
    made = {count: CoverageIndex(coverage(count)) for count in (FEW, MANY)}
    asked = prompts(10)
    assert_linear(calls, lambda count: lambda: [made[count].nearest(text) for text in asked])


@pytest.mark.parametrize("measure", [calls, peak])
def test_the_search_for_near_duplicates(measure):
    texts = planted_corpus(MANY, seed=1).texts
    assert_linear(measure, lambda count: lambda: find_duplicates(texts[:count], 0.7))


def test_near_duplicates_are_compared_with_those_alone_that_may_be_like_them():
    texts = planted_corpus(2 * MANY, seed=1).texts

    def compared(count):
        pairs = []
        find_duplicates(texts[:count], 0.7, similarity=lambda *pair: pairs.append(pair) or 0.0)
        return len(pairs)

    few, many = compared(MANY // 2), compared(2 * MANY)
    assert few > 0
    assert many <= SLACK * 4 * few
    assert many < 2 * MANY, "of eight million pairs"
