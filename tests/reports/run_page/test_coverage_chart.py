"""The chart of rates: points with intervals, direct labels, lines only where there is a course."""

import itertools
import re

import pytest

from core.reports.last_look import LastLook
from pipeline.summary import make_summary
from reports.charts import WIDTHS, spread, svg
from reports.run_page.coverage_chart import coverage_spec
from reports.run_page.one_round_chart import one_round_spec, rate_lines


@pytest.fixture
def rounds_of(config, artifacts_of, verdicts):
    def make(count):
        made = artifacts_of(f"loop-{count}")
        for number in range(1, count + 1):
            made.add_round(verdicts(0.4 + 0.5 * number / count, seed=number))
        return make_summary(config, made.loop(), made.runs)

    return make


def marks(spec):
    return [
        mark if isinstance(mark := layer["mark"], str) else mark["type"] for layer in spec["layer"]
    ]


@pytest.mark.parametrize(("count", "lines"), [(1, 0), (2, 0), (3, 2)])
def test_two_points_are_no_line(rounds_of, count, lines):
    summary = rounds_of(count)
    spec = coverage_spec(summary.rounds, summary.best.report, WIDTHS["wide"])
    assert marks(spec).count("line") == lines
    assert marks(spec).count("point") == 2, "holdout and seed"


def test_points_are_the_rates_with_their_intervals(rounds_of):
    summary = rounds_of(3)
    spec = coverage_spec(summary.rounds, summary.best.report, WIDTHS["wide"])
    drawn = {
        (row["split"], row["round"]): (row["low"], row["rate"], row["high"])
        for layer in spec["layer"]
        for row in layer["data"]["values"]
        if "low" in row
    }
    for entry in summary.rounds:
        for split in ("holdout", "seed"):
            rate = entry.report.models["tuned"][split]
            assert drawn[split, entry.round] == (
                rate.low_percent, rate.rate_percent, rate.high_percent,
            )  # fmt: skip


def boxes_of(browser, tmp_path, spec, width):
    """The texts of a drawing and where they are on a screen, with what an image would cut off."""
    page = tmp_path / "chart.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<style>body{margin:16px}svg{width:100%;height:auto}</style>"
        f"{svg(spec)}",
        encoding="utf-8",
    )
    browser.open(page.as_uri(), width)
    return browser.run(
        "return [...document.querySelectorAll('text')].map(e => {"
        "const b = e.getBoundingClientRect();"
        "return [e.textContent, b.left, b.right, b.top + 3, b.bottom - 3]; })"
        ".filter(b => b[2] > b[1])"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_a_single_round_has_a_line_for_each_model_and_split(rounds_of, browser, tmp_path, width):
    report = rounds_of(1).best.report
    of_test = {name: report.models[name].holdout for name in ("tuned", "service")}
    look = LastLook(holdout_looks=1, models=of_test, threshold_percent=70.0, reached=True)
    lines = rate_lines(
        report.model_copy(update={"last_look": look}), {"few_shot": "untuned + examples"}
    )
    assert [line.name for line in lines] == [
        "tuned, test", "tuned, holdout", "tuned, seed", "service, test", "service, holdout",
        "untuned + examples", "base",
    ]  # fmt: skip
    drawn = WIDTHS["wide" if width > 720 else "narrow"]
    spec = one_round_spec(lines, report.gate, drawn)
    boxes = boxes_of(browser, tmp_path, spec, width)
    texts = [text for text, *_ in boxes]
    for line in lines:
        assert line.name in texts
        assert f"{line.rate.rate_percent:.1f} %" in texts
    assert "threshold on holdout, 80.0 %" in texts
    left_of_image = browser.run("return document.querySelector('svg').getBoundingClientRect().left")
    assert min(left for _, left, *_ in boxes) >= left_of_image, "an image would cut it off"
    assert_apart(boxes, width)


@pytest.mark.parametrize("width", [1280, 390])
def test_twenty_rounds_are_labelled_side_by_side(rounds_of, browser, tmp_path, width):
    summary = rounds_of(20)
    drawn = WIDTHS["wide" if width > 720 else "narrow"]
    spec = coverage_spec(summary.rounds, summary.best.report, drawn)
    boxes = boxes_of(browser, tmp_path, spec, width)
    names = {re.sub(r" [\d.]+ %$", "", text) for text, *_ in boxes}
    examples = "untuned + examples" if width == 1280 else "with examples"
    assert names >= {"tuned, holdout", "tuned, seed", "threshold", "service", "untuned", examples}
    assert_apart(boxes, width)


def assert_apart(boxes, width):
    """Every text is on the screen, and none on another."""
    for number, (text, left, right, top, bottom) in enumerate(boxes):
        assert left >= 0, text
        assert right <= width, text
        for other, left_2, right_2, top_2, bottom_2 in boxes[:number]:
            apart = right <= left_2 or right_2 <= left or bottom <= top_2 or bottom_2 <= top
            assert apart, f"{text} is on {other}"


def test_labels_at_one_height_are_moved_apart_and_stay_inside():
    placed = spread([100.0, 99.0, 98.0, 0.0, 1.0, 50.0], 6.0)
    assert placed[5] == 50.0
    ordered = sorted(placed)
    assert all(high - low >= 6.0 for low, high in itertools.pairwise(ordered))
    assert min(placed) >= 0
    assert max(placed) <= 100
    assert placed[0] > placed[1] > placed[2] > placed[5] > placed[4] > placed[3]
