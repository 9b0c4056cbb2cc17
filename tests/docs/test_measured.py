"""What the README says was measured is what the benchmarks' record says."""

import re

import pytest

from benchmarks.__main__ import RESULTS, sections
from tests.docs.guides import REPOSITORY

_PROXY = "LiteLLM's proxy"


def table_of(name):
    """The rows of a benchmark's tables, each by its first two cells."""
    text = sections(RESULTS.read_text(encoding="utf-8"))[name]
    rows = {}
    for line in re.findall(r"^\|(.+)\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.split("|")]
        rows.setdefault((cells[0], cells[1]), cells)
    return rows


def row_of(name, first, second=None):
    (found,) = (
        cells
        for (one, two), cells in table_of(name).items()
        if one == first and second in (None, two)
    )
    return found


def numbers(text):
    return [float(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?", text)]


def training():
    fast, slow = (
        [float(row_of("training", dtype, f"peft, {how}")[3]) for dtype in ("float32", "bfloat16")]
        for how in ("same tricks", "usual")
    )
    peak = {
        (dtype, program): float(row_of("training", dtype, program)[5])
        for dtype in ("float32", "bfloat16")
        for program in ("ours", "peft, same tricks", "peft, usual")
    }
    saved = min(peak[d, "peft, same tricks"] - peak[d, "ours"] for d in ("float32", "bfloat16"))
    for dtype in ("float32", "bfloat16"):
        assert 0.4 < peak[dtype, "ours"] / peak[dtype, "peft, usual"] < 0.6, "about half"
    return [
        f"| {fast[0]:.1f} times in float32, {fast[1]:.2f} in bfloat16, with {saved:.1f} GiB less |",
        f"| {slow[0]:.1f} times in float32, {slow[1]:.1f} in bfloat16, with about half ",
    ]


def generation():
    ratios = {
        (peer, dtype): float(row_of("generation", dtype, peer)[3])
        for peer in ("transformers", "llama.cpp")
        for dtype in ("float32", "bfloat16")
    }
    same = numbers(row_of("generation", "float32", "transformers")[5])
    assert same[0] == same[1], "the same greedy tokens"
    one, two = ratios["transformers", "float32"], ratios["transformers", "bfloat16"]
    three, four = ratios["llama.cpp", "float32"], ratios["llama.cpp", "bfloat16"]
    return [
        f"| {one:.1f} times in float32 with the same greedy tokens, {two:.1f} in bfloat16 ",
        f"| {three:.1f} times in float32, {four:.1f} in bfloat16 |",
    ]


def warm_start():
    whole = numbers(row_of("warm_start", "warm 1.0 minus scratch 1.0")[3])
    quarter = numbers(row_of("warm_start", "warm 0.25 minus scratch 0.25")[3])
    return [
        f"| {whole[0]} points more right holdout answers ({whole[1]} to {whole[2]}) after one "
        f"pass, {quarter[0]} after a quarter of one |"
    ]


def dedup():
    ours, peer = (row_of("dedup", name) for name in ("ours", "distilabel's MinHashDedup"))
    left, left_by_peer = (numbers(row[4])[-1] for row in (ours, peer))
    return [
        f"| {float(peer[1]) / float(ours[1]):.0f} times faster; {left:.2f} % of the similar pairs "
        f"remain | distilabel's MinHash step, which leaves {left_by_peer:.1f} % |"
    ]


def dedup_leaks():
    def caught(kind):
        return numbers(row_of("dedup_leaks", kind)[2])[0]

    paraphrase = "paraphrase, moved and exchanged words"
    assert caught("verbatim, upper case") == caught(paraphrase) == 100
    assert caught("paraphrase in other words") == 0
    return [
        "| finds all verbatim leaks and light paraphrases, "
        f"{caught(f'{paraphrase}, with typing errors'):.0f} % of those with typing errors, none in "
        "entirely different words |"
    ]


def quota():
    by_rate = [
        cells
        for (_, second), cells in table_of("quota").items()
        if second in ("60", "600", "6000") and cells[1] == cells[2]
    ]
    assert {(cells[0], cells[1]) for cells in by_rate} >= {
        (seconds, rate) for seconds in ("0", "2", "20") for rate in ("60", "600", "6000")
    }
    (used,) = {round(numbers(cells[4])[0]) for cells in by_rate}
    return [f"| {used} % of it used, at reply times of 0, 2 and 20 seconds |"]


def evaluator_intervals():
    text = sections(RESULTS.read_text(encoding="utf-8"))["evaluator_intervals"]
    low, high = numbers(re.search(r"hold the truth in (.*?) of the simulations", text)[1])
    return [f"| contain the true rate in {low:.0f} to {high + 0.001:.0f} % of simulated"]


def gateway():
    added = {
        way: float(cells[2])
        for (way, _), cells in table_of("gateway").items()
        if len(cells) == 4 and re.fullmatch(r"\d+\.\d+", cells[2])  # not the shares of others
    }
    ours = [value for way, value in added.items() if way.startswith("gateway,")]
    assert len(ours) == 3
    return [
        f"| {min(ours):.1f} to {max(ours):.1f} ms | a direct call; LiteLLM's proxy adds "
        f"{added[_PROXY]:.0f} ms |"
    ]


def launcher():
    run, cached = (
        float(row_of("launcher", name)[1]) for name in ("smoke run", "the same from the cache")
    )
    return [f"| `smoke` preset in {run:.0f} s, in {cached:.0f} s when everything is cached |"]


CLAIMS = (
    training, generation, warm_start, dedup, dedup_leaks, quota, evaluator_intervals, gateway,
    launcher,
)  # fmt: skip


@pytest.fixture(scope="module")
def measured():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## Measured\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_figure_of_the_readme_is_that_of_the_record(measured, claim):
    for sentence in claim():
        assert sentence in measured


def test_no_row_of_the_table_is_without_a_record(measured):
    rows = re.findall(r"^\| .*", measured, re.MULTILINE)[1:]
    sentences = [sentence for claim in CLAIMS for sentence in claim()]
    assert not [row for row in rows if not any(sentence in row for sentence in sentences)]
