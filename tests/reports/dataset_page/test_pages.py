import re
from html.parser import HTMLParser
from typing import NamedTuple

import pytest
import yaml
from huggingface_hub import DatasetCard

from components.synth_data_gen.figures import make_figures
from core.reports.synthesis import Bar, DataGenerator, DatasetFigures, NearCount, SynthesisRecord
from core.synthetic_records import Dropped, SyntheticRow
from reports.cards.dataset_card import render_card
from reports.dataset_page.page import render_page
from tests.records import synthesis_record, synthetic_row

HOSTILE = '<script>alert(1)</script> & "quotes" ```\n# not a heading'


class Page(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
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
    assert (
        browser.run("return document.querySelector('.bars .bar').getBoundingClientRect().width")
        > 50
    )


def test_axe_finds_nothing(browser, dataset, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(page_of(dataset), encoding="utf-8")
    assert browser.audit(path.as_uri()) == []
