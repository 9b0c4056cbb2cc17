import dataclasses
import html
import json
import os
import re
from html.parser import HTMLParser

import jinja2
import pytest

from pipeline.report import render_page, write_results
from pipeline.report.wording import caveat, dollars, headline, number
from pipeline.rounds import StopReason
from pipeline.summary import STAND_IN_NOTICE, make_summary

_ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>"
_VOID = {"meta", "br", "input", "link", "img"}


class Page(HTMLParser):
    """The page's rows of tables, its elements, and whether it is well formed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = " ".join(self.rows[-1][-1].split())

    def handle_data(self, data):
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def rate_text(rate):
    unscored = f", {rate['unscored']} unscored" if rate["unscored"] else ""
    return (
        f"{rate['rate_percent']:.1f} % {rate['covered']} of {rate['total']}{unscored} "
        f"{rate['low_percent']:.1f} % to {rate['high_percent']:.1f} %"
    )


@pytest.fixture
def page(results):
    return Page((results / "report.html").read_text(encoding="utf-8"))


def test_the_files_are_the_summary_and_the_page(results, summary):
    assert json.loads((results / "summary.json").read_text(encoding="utf-8")) == summary
    text = (results / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert STAND_IN_NOTICE in text
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"], "no temporary file"


def test_writing_again_replaces_and_a_failure_keeps_the_old_files(results, summary):
    paths = {"summary_file": results / "summary.json", "report_file": results / "report.html"}
    old = paths["report_file"].read_text()
    broken = {key: value for key, value in summary.items() if key != "versions"}
    with pytest.raises(jinja2.UndefinedError, match="versions"):
        write_results(broken, **paths)
    assert json.loads(paths["summary_file"].read_text()) == summary
    assert paths["report_file"].read_text() == old
    write_results(summary | {"task": "another_task"}, **paths)
    assert "another_task" in paths["report_file"].read_text()
    assert sorted(os.listdir(results)) == ["report.html", "summary.json"]


def test_the_coverage_figures_are_those_of_the_summary(page, summary):
    best = summary["rounds"][1]
    for entry in summary["rounds"]:
        tuned = [
            rate_text(entry["rates"]["tuned"][part]) for part in ("holdout", "seed", "overall")
        ]
        assert any(row[1:4] == tuned for row in page.rows), f"round {entry['round']}"
    for model, name in (("base", "Untuned model"), ("service", "Service LLM (ceiling)")):
        rates = [rate_text(best["rates"][model][part]) for part in ("holdout", "seed", "overall")]
        change = best["baselines"][model]["holdout"]["change"]
        (row,) = (row for row in page.rows if row and row[0] == name)
        assert row[1:4] == rates
        assert f"{change['difference_points']:+.1f} points" in row[4]
        assert f"{change['gained']} prompts gained, {change['lost']} lost" in row[4]
    for tag, rate in best["rates"]["tuned"]["tags"].items():
        (row,) = (row for row in page.rows if row and row[0] == tag)
        assert row[1] == rate_text(rate)


def test_data_time_and_cost_are_those_of_the_summary(page, summary):
    rows = [row for row in page.rows if row]
    reasons = ["bad_output", "duplicate", "leak", "not_generated"]
    for entry in summary["rounds"]:
        data = entry["data"]
        figures = [data["requested"], data["generated"]]
        figures += [data["dropped"][reason] for reason in reasons]
        figures += [data[k] for k in ("surplus", "kept", "total_rows", "train_rows", "eval_rows")]
        assert [str(entry["round"]), *(f"{f:,}" for f in figures)] in rows
        usage = entry["usage"]["SynthDataGen"]
        cost = dollars(usage["cost_usd"])
        tokens = [f"{usage[k]:,}" for k in ("calls", "prompt_tokens", "output_tokens")]
        assert [str(entry["round"]), "SynthDataGen", *tokens, cost] in rows
    assert ["All", "", "3,400", "3,060,000", "238,000", "$0.0500"] in rows
    assert ["Trainer", "2 min 23 s", "2 min 23 s"] in rows
    assert ["CoverageExampleGen", "2.3 s", "cached"] in rows


def test_every_answer_of_the_tuned_model_has_a_row_with_its_verdict(page, verdict_rows):
    tuned = [row for row in verdict_rows if row.model == "tuned"]
    articles = page.all("article")
    assert len(articles) == len(tuned) == 60
    shown = sorted(a["data-verdict"] for a in articles)
    covered = sum(row.covered for row in tuned)
    assert shown == sorted(
        ["covered"] * covered + ["unscored"] + ["not covered"] * (60 - 1 - covered)
    )
    assert articles[0]["data-verdict"] == "not covered", "what needs a look comes first"
    assert all(isinstance(json.loads(a["data-tags"]), list) for a in articles)


def test_what_models_and_users_wrote_is_escaped(summary, verdict_rows):
    names = ("id", "split", "prompt", "output", "response", "reason")
    hostile = dict.fromkeys(names, _ATTACK) | {"tags": (_ATTACK, '"quoted"')}
    rows = [dataclasses.replace(row, **hostile) for row in verdict_rows[:1]]
    text = render_page(summary, [*rows, *verdict_rows[1:]])
    page = Page(text)
    assert _ATTACK not in text
    assert text.count(html.escape(_ATTACK)) >= 6
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    assert _ATTACK in [t for a in page.all("article") for t in json.loads(a["data-tags"])]


def test_the_page_loads_nothing(page, results):
    text = (results / "report.html").read_text(encoding="utf-8")
    assert page.all("link") == page.all("img") == page.all("iframe") == []
    assert not [a for _, a in page.elements if "src" in a]
    assert all(a["href"].startswith("#") for _, a in page.elements if "href" in a)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} <= targets


def test_the_chart_can_be_read_without_seeing_it(page, summary):
    labels = [a["aria-labelledby"] for a in page.all("svg") if "aria-labelledby" in a]
    ids = {a.get("id") for _, a in page.elements}
    assert len(labels) == 3, "the coverage rate, and the losses of two rounds"
    assert {word for label in labels for word in label.split()} <= ids
    rates = [e["rates"]["tuned"]["holdout"]["rate_percent"] for e in summary["rounds"]]
    from pipeline.report.chart import make_chart

    chart = make_chart(summary["rounds"], summary["rounds"][1], {"base": "Untuned", "service": "S"})
    assert f"round 1 {rates[0]:.1f} %, round 2 {rates[1]:.1f} %" in chart.description


def test_points_lie_inside_their_intervals_and_the_drawing(summary):
    from pipeline.report import chart

    names = {"base": "Untuned", "service": "S"}
    drawn = chart.make_chart(summary["rounds"], summary["rounds"][1], names)
    assert [line.kind for line in drawn.series] == ["holdout", "seed"]
    assert [level.kind for level in drawn.levels] == ["threshold", "base", "service"]
    for point in (p for line in drawn.series for p in line.points):
        assert chart.TOP <= point.high <= point.y <= point.low <= chart.HEIGHT - chart.BOTTOM
        assert chart.LEFT < point.x < chart.WIDTH - chart.RIGHT


@pytest.mark.parametrize("stop_reason", [None, *StopReason])
def test_a_single_round_without_baselines_push_or_times_renders(
    config, artifacts, verdicts, stop_reason
):
    rows = verdicts(0.3)
    artifacts.add_round({"tuned": [dataclasses.replace(r, tags=()) for r in rows["tuned"]]})
    found = make_summary(config, artifacts.loop(stop_reason), {})
    text = render_page(found, rows["tuned"])
    page = Page(text)
    assert "No other model was judged" in text
    assert "no model has reached the threshold" in text
    assert "has no tags" in text
    assert "Other models&#39; answers" not in text
    assert "Other models' answers" not in text
    assert ("has not ended" in text) == (stop_reason is None)
    assert len(page.all("article")) == 60


def test_several_samples_of_a_prompt_each_have_a_row(summary, verdict_rows):
    second = [
        dataclasses.replace(r, sample=1, response="the second sample")
        for r in verdict_rows
        if r.model == "tuned"
    ]
    text = render_page(summary, [*verdict_rows, *second])
    assert len(Page(text).all("article")) == 120
    assert text.count("sample 2") == 60


def best(passed, rate, low, high, **gate):
    return {
        "round": 3,
        "blessed": passed,
        "gate": {
            "split": "holdout",
            "threshold_percent": 80.0,
            "rate": {
                "rate_percent": rate,
                "low_percent": low,
                "high_percent": high,
                "covered": 7,
                "total": 10,
            },
            **gate,
        },
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            best(False, 70.0, 39.7, 89.2),
            "The tuned model of round 3 stays below the threshold of 80 %: it covers 70.0 % of the "
            "holdout prompts (7 of 10, 95 % interval 39.7 to 89.2 %).",
            id="below",
        ),
        pytest.param(
            best(True, 90.0, 81.0, 95.0, split="overall", statistic="lower", scorer="rouge_l"),
            "The tuned model of round 3 reaches the threshold of 80 %: it covers 90.0 % of the "
            "coverage prompts by rouge_l (7 of 10, 95 % interval 81.0 to 95.0 %; the lower end of "
            "the interval is what counts).",
            id="lower bound of a scorer",
        ),
    ],
)
def test_the_headline_says_it_in_a_sentence(entry, expected):
    assert headline(entry).replace("\u00a0", " ") == expected


def test_a_threshold_inside_the_interval_is_pointed_out():
    assert "chance alone" in caveat(best(False, 70.0, 39.7, 89.2))
    assert caveat(best(True, 95.0, 85.0, 99.0)) is None


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (dollars, None, "price unknown"),
        (dollars, 0.0, "$0.00"),
        (dollars, 0.0123, "$0.0123"),
        (dollars, 1234.5, "$1,234.50"),
        (number, None, "-"),
        (number, 12345, "12,345"),
        (number, 12345.6, "12,346"),
        (number, 0.21344, "0.2134"),
    ],
)
def test_numbers_are_written_for_people(function, value, text):
    assert function(value) == text
