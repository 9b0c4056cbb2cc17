import dataclasses
import re
from html.parser import HTMLParser
from typing import NamedTuple

import pytest
import yaml
from huggingface_hub import DatasetCard

from components.synth_data_gen.figures import make_figures
from core.records import CoverageRow
from core.reports.synthesis import Bar, DataGenerator, DatasetFigures, NearCount, SynthesisRecord
from core.synthetic_records import Dropped, SyntheticRow
from reports.cards.dataset_card import render_card
from reports.charts import WIDTHS, svg
from reports.dataset_page.map_chart import (
    COVERED,
    FAILED,
    ROW,
    UNJUDGED,
    Gap,
    MapPoint,
    PromptMap,
    map_spec,
)
from reports.dataset_page.page import render_page
from reports.dataset_page.values_chart import bars_spec, values_spec
from reports.evaluation_page.tag_chart import TagLine, tag_spec
from tests.html_page import Page as ParsedPage
from tests.html_page import plain
from tests.records import rate, synthesis_record, synthetic_row

HOSTILE = '<script>alert(1)</script> & "quotes" ```\n# not a heading'


class Page(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "img", "source"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class Dataset(NamedTuple):
    record: SynthesisRecord
    samples: list[SyntheticRow]
    dropped: list[Dropped]
    coverage: dict[str, str]

    def having(self, **changes):
        return self._replace(record=self.record.model_copy(update=changes))


def page_of(dataset):
    return render_page(*dataset)


def card_of(dataset):
    return render_card(dataset.record, dataset.samples)


@pytest.fixture
def dataset():
    rows = [
        synthetic_row(
            str(n),
            f"{HOSTILE} {n}",
            attributes={"tone": HOSTILE},
            nearest=("cov-1", 0.31),
            scores={"agreement": 1.0, "quality": 4.0},
        )
        for n in range(9)
    ]
    record = synthesis_record(
        round=1,
        requested=12,
        generated=11,
        kept=9,
        surplus=1,
        dropped={"leak": 2},
        total_rows=9,
        train_rows=8,
        eval_rows=1,
        rows_by_round={1: 9},
        generator=DataGenerator(provider="gemini", model="g", prompt_versions={"answer": "v1"}),
        stand_in=False,
        figures=make_figures(rows),
    )
    dropped = [Dropped("leak", "similarity 0.90", HOSTILE, nearest_id="cov-2")]
    return Dataset(
        record, rows, dropped, {"cov-1": "The nearest text.", "cov-2": "A held-out one."}
    )


def test_the_page_is_well_formed_and_loads_nothing(dataset):
    html = page_of(dataset)
    page = Page()
    page.feed(html)
    assert not page.open
    tags = {tag for tag, _ in page.tags}
    assert {"table", "ul", "li"} <= tags
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert not any({"src", "href", "onload"} & set(attributes) for _, attributes in page.tags)
    assert not re.search(r"url\(|@import|https?://", html)


def test_texts_of_the_data_are_escaped_on_the_page(dataset):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page_of(dataset)


def test_the_page_shows_counts_reasons_and_the_nearest_coverage_row(dataset):
    html = page_of(dataset)
    for shown in (
        "<b>12</b> prompts requested",
        "<b>2</b> dropped",
        "<b>1</b> surplus",
        "<b>9</b> kept",
        "leak",
        "cov-2",
        "0.310",
        "cov-1",
    ):
        assert shown in html


def test_the_funnel_falls_from_asked_to_kept_by_reason(dataset):
    dropped = {"duplicate": 2, "missing": 1, "bad_output": 3}
    counts = {"requested": 15, "generated": 14, "surplus": 1, "kept": 8, "dropped": dropped}
    record = dataset.record.model_copy(update=counts)
    assert record.funnel == [
        ("asked", 15), ("received", 14), ("without duplicate", 12), ("without surplus", 11),
        ("without unusable answers", 8), ("kept", 8),
    ]  # fmt: skip
    html = page_of(dataset._replace(record=record))
    funnel = html.partition('id="funnel"')[2].partition("</ul>")[0]
    assert re.findall(r"<span>(.*?)</span>.*?<b>(\d+)</b>", funnel) == [
        (label, str(rows)) for label, rows in record.funnel
    ]


def test_the_texts_of_near_rows_are_on_the_page_and_never_on_the_card(dataset):
    near = NearCount(coverage_id="cov-2", split="holdout", reason="leak", rows=1)
    figures = dataset.record.figures.model_copy(update={"dropped_near": (near,)})
    shown = dataset.having(figures=figures)
    for text in ("The nearest text.", "A held-out one."):
        assert text in page_of(shown)
        assert text not in card_of(shown)
        assert text not in shown.record.to_json()


def test_the_page_counts_by_near_row_and_output_values_kept_and_dropped(dataset):
    coverage = [
        CoverageRow("s-a", "Seed of a.", '{"kind": "a"}', "seed"),
        CoverageRow("s-b", "Seed of b.", '{"kind": "b"}', "seed"),
        CoverageRow("h-b", "Held-out one.", '{"kind": "b"}', "holdout"),
        CoverageRow("h-c", "Another.", '{"kind": "c"}', "holdout"),
    ]
    kept = [synthetic_row(f"{n}", f"Row {n}.") for n in range(4)]
    outputs = ['{"kind": "a"}'] * 3 + ['{"kind": "b"}']
    kept = [dataclasses.replace(row, output=o) for row, o in zip(kept, outputs, strict=True)]
    dropped = [
        *(Dropped("leak", "similar", f"Leak {n}.", nearest_id="h-b") for n in range(3)),
        Dropped("near_duplicate", "similar", "Twice.", nearest_id="s-a"),
        Dropped("leak", "similar", "Secret.", nearest_id="h-c"),
        Dropped("quality", "score 2", "Poor.", output='{"kind": "a"}'),
    ]
    figures = make_figures(kept, dropped=dropped, coverage=coverage)
    shown = dataset.having(figures=figures)._replace(
        samples=kept, dropped=dropped, coverage={row.id: row.prompt for row in coverage}
    )
    rows = ParsedPage(page_of(shown)).rows
    near = rows.index(["coverage row", "its prompt", "split", "reason", "dropped"])
    assert rows[near + 1 : near + 4] == [
        ["h-b", "Held-out one.", "holdout", "leak", "3"],
        ["h-c", "Another.", "holdout", "leak", "1"],
        ["s-a", "Seed of a.", "seed", "near duplicate", "1"],
    ]
    values = rows.index(["value", "kept", "dropped"])
    # Of a value that the holdout alone has, nothing is told.
    assert rows[values + 1 : values + 4] == [["a", "3", "2"], ["b", "1", "3"], rows[values + 3]]
    assert not [row for row in rows[values:] if row[0] == "c"]


def test_the_card_starts_with_metadata_that_the_hub_reads(dataset):
    card = card_of(dataset)
    _, head, body = card.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["size_categories"] == ["n<1K"]
    assert metadata["dataset_info"]["splits"] == [
        {"name": "train", "num_examples": 8},
        {"name": "eval", "num_examples": 1},
    ]
    assert body.lstrip().startswith("# Synthetic data for support_triage")
    assert "| leak | 2 |" in body


def test_the_card_is_one_that_the_hub_accepts(dataset):
    card = DatasetCard(card_of(dataset))
    assert card.data.pretty_name == "Synthetic data for support_triage"
    assert card.data.annotations_creators == ["machine-generated"]
    assert yaml.safe_load(card.data.to_yaml())["dataset_info"]["features"][0]["name"] == "id"


@pytest.mark.parametrize("render", [card_of, page_of], ids=["card", "page"])
def test_card_and_page_show_everything(dataset, render):
    """Counts, drop reasons, histograms, diversity by round, nearest coverage row, samples."""
    text = render(dataset)
    for shown in (
        "prompts",
        "surplus",
        "leak",
        "distinct-2",
        "self-BLEU",
        "Lengths",
        "Attributes",
        "tone",
        "quality",
        "Nearest coverage row",
        "cov-1",
        "Samples",
    ):
        assert shown in text, shown


def test_texts_of_the_data_cannot_leave_a_cell_of_the_card(dataset):
    hostile = "a | b\n<img src=x> `c` [d](e)"
    figures = DatasetFigures(attributes={"tone": (Bar(hostile, 3),)})
    card = card_of(dataset.having(figures=figures))
    assert r"| a \| b &lt;img src=x&gt; \`c\` \[d\]\(e\) | 3 |" in card


def test_texts_of_the_data_cannot_leave_their_code_block_in_the_card(dataset):
    assert "````\n<script>" in card_of(dataset)


@pytest.mark.parametrize("stand_in", [True, False], ids=["stand-in", "language-model"])
def test_a_stand_in_generator_is_named_on_the_card_and_on_the_page(dataset, stand_in):
    named = dataset.having(stand_in=stand_in)
    for text in (card_of(named), page_of(named)):
        assert ("no language model" in text) == stand_in


@pytest.mark.parametrize(
    ("sources", "title", "is_synthetic"),
    [
        ({}, "Synthetic data for support_triage", True),
        ({"generated": 5, "logged": 4}, "Training data for support_triage", True),
        ({"logged": 9}, "Training data for support_triage", False),
    ],
    ids=["generated", "mix", "logged"],
)
def test_card_and_page_call_synthetic_what_is(dataset, sources, title, is_synthetic):
    made = dataset.having(rows_by_source=sources, stand_in=True)
    card, page = card_of(made), page_of(made)
    metadata = DatasetCard(card).data
    assert metadata.pretty_name == title
    assert f"\n# {title}\n" in card
    assert f"<h1>{title}</h1>" in page
    assert ("synthetic" in metadata.tags) == is_synthetic
    for text in (card, page):
        assert ("Generator: gemini / g" in text) == is_synthetic
        assert ("no language model" in text) == is_synthetic
    for source, rows in sources.items():
        assert f"<li><span>{source}</span>" in page
        assert f"| `{source}` | {rows} |" in card


@pytest.mark.parametrize(
    ("rows", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (2_000_000, "n>1M")],
    ids=["small", "boundary", "large"],
)
def test_the_size_category_follows_the_rows(dataset, rows, category):
    assert f"- {category}\n" in card_of(dataset.having(total_rows=rows))


@pytest.mark.parametrize(
    ("weights", "shown"),
    [({"a": 1.7, "b": 0.3}, True), ({"a": 1.0, "b": 1.0}, False)],
    ids=["aimed", "uniform"],
)
def test_the_page_shows_the_weights_of_an_aimed_round(dataset, weights, shown):
    aimed = page_of(dataset.having(seed_weights=weights))
    assert ("<h2>Aim</h2>" in aimed) == shown
    assert ("<td>1.7</td>" in aimed) == shown


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_can_be_read_on_screens_of_any_width(browser, dataset, tmp_path, width):
    path = tmp_path / "index.html"
    path.write_text(page_of(dataset), encoding="utf-8")
    browser.open(path.as_uri(), width)
    assert browser.overflow() == 0
    narrow = browser.run(
        "return [...document.querySelectorAll('td, .bars span, ul.figures li')]"
        ".filter(e => e.innerText.trim().length > 3 && e.clientWidth < 30)"
        ".map(e => e.innerText)"
    )
    assert narrow == [], "words are not broken into letters"
    used = browser.run(
        "const bar = document.querySelector('.bars .bar').getBoundingClientRect();"
        "return bar.width / document.body.clientWidth"
    )
    assert used > 0.6, "bars use the width"


def test_axe_finds_nothing(browser, dataset, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(page_of(dataset), encoding="utf-8")
    assert browser.audit(path.as_uri()) == []


@pytest.fixture
def with_charts(dataset):
    """Output values of two rounds, and a map with a failure."""
    figures = dataset.record.figures.model_copy(
        update={
            "outputs_by_round": {
                "tone": {1: {'"calm"': 6, '"angry"': 2}, 2: {'"calm"': 1, '"angry"': 9}}
            }
        }
    )
    points = [MapPoint(n, n % 3, ROW) for n in range(8)] + [MapPoint(3, 1, FAILED)]
    gap = Gap("cov-2", HOSTILE, 0.12, "The nearest row.")
    return dataset.having(figures=figures, rows_by_round={1: 8, 2: 10}), PromptMap(points, [gap])


def test_output_values_are_shown_by_round(with_charts):
    dataset, _ = with_charts
    page = Page()
    html = page_of(dataset)
    page.feed(html)
    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == "Values of tone by round. Round 2: angry 90.0 %, calm 10.0 %."
    table = html.partition('aria-label="Values of tone by round"')[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", plain(table))
    assert cells == [
        "Value", "Round 1", "Round 2", "angry", "25.0 %", "90.0 %", "calm", "75.0 %", "10.0 %",
    ]  # fmt: skip


def test_output_values_are_shown_next_to_those_of_the_seeds(with_charts):
    dataset, _ = with_charts
    figures = dataset.record.figures.model_copy(
        update={"seed_outputs": {"tone": {'"calm"': 3, '"sad"': 1}}, "seeds": 4}
    )
    html = page_of(dataset.having(figures=figures))
    table = html.partition('aria-label="Values of tone by round"')[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", plain(table))
    assert cells == [
        "Value", "Seeds", "Round 1", "Round 2", "angry", "0.0 %", "25.0 %", "90.0 %",
        "calm", "75.0 %", "75.0 %", "10.0 %", "sad", "25.0 %", "0.0 %", "0.0 %",
    ]  # fmt: skip


def test_a_single_round_has_one_chart_for_each_field_and_no_table_of_the_same_figures(with_charts):
    dataset, _ = with_charts
    by_round = {"tone": {1: {'"calm"': 6, '"angry"': 2}}}
    figures = dataset.record.figures.model_copy(update={"outputs_by_round": by_round})
    html = page_of(dataset.having(figures=figures, rows_by_round={1: 8}))
    assert 'alt="Values of tone. calm 75.0 %, angry 25.0 %."' in html
    assert "<h2>Output values</h2>" in html
    assert 'aria-label="Values of tone by round"' not in html


def texts_of(browser, tmp_path, spec, width):
    """The texts of a drawing that are cut off at its sides, and all of them."""
    path = tmp_path / "chart.html"
    style = "<style>svg{width:100%;height:auto}</style>"
    path.write_text(f"<!doctype html><meta charset=utf-8>{style}{svg(spec)}", encoding="utf-8")
    browser.open(path.as_uri(), width)
    return browser.run(
        "const whole = document.querySelector('svg').getBoundingClientRect();"
        "const texts = [...document.querySelectorAll('text')];"
        "const isCut = ({left, right}) => left < whole.left || right > whole.right;"
        "return [texts.filter(t => isCut(t.getBoundingClientRect())).map(t => t.textContent),"
        "texts.map(t => t.textContent)]"
    )


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_bars_of_values_are_whole_with_their_shares(browser, tmp_path, width):
    shares = {"a value of many words": 44.1, "b": 21.5, "null": 0.0}
    cut, texts = texts_of(browser, tmp_path, bars_spec(shares, width), width)
    assert cut == []
    assert {"44.1 %", "21.5 %", "0.0 %", "b", "null"} <= set(texts)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_chart_by_tag_uses_the_width_and_cuts_no_name(browser, tmp_path, width):
    of_tag = rate(3, 4, 30.1, 95.4)
    lines = [TagLine(tag, of_tag, None, of_tag) for tag in ("short", "misspelled_product")]
    spec = tag_spec(lines, width)
    cut, texts = texts_of(browser, tmp_path, spec, width)
    assert cut == []
    assert "short" in texts
    assert spec["width"] >= 0.45 * width


def test_the_axis_of_shares_ends_above_the_highest_bar():
    spec = values_spec([1, 2], {"a": [44.0, 10.0], "b": [1.0, 2.0]}, WIDTHS["wide"])
    y = spec["spec"]["encoding"]["y"]
    assert y["scale"]["domain"] == [0, 50]
    assert y["axis"]["values"] == [0, 25, 50]


def test_before_the_first_evaluation_the_page_says_why_the_map_marks_no_failures(dataset):
    unjudged = PromptMap([MapPoint(1, 1, ROW), MapPoint(2, 1, UNJUDGED)])
    assert "Failures are marked from the second round on" in render_page(*dataset, unjudged)
    judged = PromptMap([MapPoint(1, 1, ROW), MapPoint(2, 1, COVERED)])
    assert "Failures are those of the last evaluation" in render_page(*dataset, judged)


def test_reasons_are_written_as_words(dataset):
    record = dataset.record.model_copy(update={"dropped": {"near_duplicate": 2}})
    near = NearCount(coverage_id="cov-2", split="holdout", reason="near_duplicate", rows=1)
    figures = record.figures.model_copy(update={"dropped_near": (near,)})
    dropped = [Dropped("near_duplicate", "", HOSTILE)]
    shown = dataset.having(dropped=record.dropped, figures=figures)
    html = page_of(shown._replace(dropped=dropped))
    assert "without near duplicate" in html
    assert "near_duplicate" not in html


def test_the_map_marks_failures_and_lists_the_farthest(with_charts):
    dataset, prompt_map = with_charts
    html = render_page(*dataset, prompt_map, run_page="../report.html")
    assert 'alt="Map of prompts. 8 x training row, 1 x prompt not covered."' in html
    assert "Failures farthest from the training rows" in html
    assert "The nearest row." in html
    assert HOSTILE not in html
    assert '<a href="../report.html">Report of the run</a>' in html
    assert "Map of prompts" not in page_of(dataset)
    spec = map_spec(prompt_map.points, WIDTHS["wide"])
    assert spec["data"]["values"][-1]["kind"] == FAILED, "drawn on top"
    assert spec["encoding"]["shape"]["scale"]["range"] == ["circle", "diamond"]


def test_axe_finds_nothing_with_charts(browser, with_charts, tmp_path):
    dataset, prompt_map = with_charts
    path = tmp_path / "index.html"
    path.write_text(render_page(*dataset, prompt_map, run_page="r.html"), encoding="utf-8")
    assert browser.audit(path.as_uri()) == []
    assert browser.complaints() == [], "the policy lets the drawings in"
    sizes = "return [...document.images].map(i => i.complete && i.naturalWidth)"
    assert all(browser.run(sizes))


def test_the_card_counts_output_values_by_round(dataset):
    by_round = {"tone": {1: {'"calm"': 6, '"angry"': 2}, 2: {'"angry"': 9}}}
    figures = dataset.record.figures.model_copy(
        update={"outputs": {"tone": {'"calm"': 6, '"angry"': 11}}, "outputs_by_round": by_round}
    )
    card = card_of(dataset.having(figures=figures))
    assert "| tone | round 1 | round 2 | all |\n|---|---|---|---|\n" in card
    assert '| "angry" | 2 | 9 | 11 |\n| "calm" | 6 | 0 | 6 |\n' in card
    assert "## Output values" not in card_of(dataset)
