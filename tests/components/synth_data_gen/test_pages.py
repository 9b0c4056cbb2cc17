import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
import yaml
from huggingface_hub import DatasetCard

from components.synth_data_gen.overview import Bar, make_overview
from components.synth_data_gen.pages import render_card, render_page
from components.synth_data_gen.rows import Dropped, SyntheticRow

HOSTILE = '<script>alert(1)</script> & "quotes" ```\n# not a heading'
SUMMARY = {
    "round": 1,
    "requested": 12,
    "generated": 11,
    "kept": 9,
    "total_rows": 9,
    "train_rows": 8,
    "eval_rows": 1,
    "dropped": {"leak": 2},
    "surplus": 1,
    "embedding_model": None,
    "rows_by_round": {"1": 9},
    "seed_weights": {"seed-1": 1.0, "seed-2": 1.0},
    "usage": {"calls": 14},
    "generator": {"provider": "gemini", "model": "g", "prompt_versions": {"answer": "v1"}},
    "stand_in": False,
}


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


@pytest.fixture
def overview():
    provenance = json.dumps(
        {
            "attributes": {"tone": HOSTILE},
            "nearest_coverage": {"id": "cov-1", "similarity": 0.31},
            "scores": {"agreement": 1.0, "quality": 4.0},
        }
    )
    rows = [SyntheticRow(str(n), f"{HOSTILE} {n}", "{}", provenance, 1) for n in range(9)]
    dropped = [Dropped("leak", "similarity 0.90", HOSTILE, near="cov-2")]
    return make_overview(rows, dropped, SUMMARY, "support_triage")


def test_the_page_is_well_formed_and_loads_nothing(overview):
    html = render_page(overview)
    page = Page()
    page.feed(html)
    assert not page.open
    tags = {tag for tag, _ in page.tags}
    assert {"table", "ul", "li"} <= tags
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert not any({"src", "href", "onload"} & set(attributes) for _, attributes in page.tags)
    assert not re.search(r"url\(|@import|https?://", html)


def test_texts_of_the_data_are_escaped_on_the_page(overview):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in render_page(overview)


def test_the_page_shows_counts_reasons_and_the_nearest_coverage_row(overview):
    html = render_page(overview)
    for shown in (
        "<b>12</b> prompts asked for",
        "<b>2</b> dropped",
        "<b>1</b> not needed",
        "<b>9</b> kept",
        "leak",
        "cov-2",
        "0.310",
        "cov-1",
    ):
        assert shown in html


def test_the_card_starts_with_metadata_that_the_hub_reads(overview):
    card = render_card(overview)
    _, head, body = card.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["size_categories"] == ["n<1K"]
    assert metadata["dataset_info"]["splits"] == [
        {"name": "train", "num_examples": 8},
        {"name": "eval", "num_examples": 1},
    ]
    assert body.lstrip().startswith("# Synthetic data for support_triage")
    assert "| leak | 2 |" in body


def test_the_card_is_one_that_the_hub_accepts(overview):
    card = DatasetCard(render_card(overview))
    assert card.data.pretty_name == "Synthetic data for support_triage"
    assert card.data.annotations_creators == ["machine-generated"]
    assert yaml.safe_load(card.data.to_yaml())["dataset_info"]["features"][0]["name"] == "id"


@pytest.mark.parametrize("render", [render_card, render_page], ids=["card", "page"])
def test_card_and_page_show_everything(overview, render):
    """Counts, drop reasons, histograms, diversity by round, nearest coverage row, samples."""
    text = render(overview)
    for shown in (
        "prompts",
        "not needed",
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


def test_texts_of_the_data_cannot_leave_a_cell_of_the_card(overview):
    hostile = "a | b\n<img src=x> `c` [d](e)"
    bars = {"tone": [Bar(hostile, 3)]}
    card = render_card(dataclasses.replace(overview, attributes=bars))
    assert r"| a \| b &lt;img src=x&gt; \`c\` \[d\]\(e\) | 3 |" in card


def test_texts_of_the_data_cannot_leave_their_code_block_in_the_card(overview):
    assert "````\n<script>" in render_card(overview)


@pytest.mark.parametrize("stand_in", [True, False], ids=["stand-in", "language-model"])
def test_a_stand_in_generator_is_named_on_the_card_and_on_the_page(overview, stand_in):
    named = dataclasses.replace(overview, summary={**SUMMARY, "stand_in": stand_in})
    for text in (render_card(named), render_page(named)):
        assert ("no language model" in text) == stand_in


@pytest.mark.parametrize(
    ("rows", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (2_000_000, "n>1M")],
    ids=["small", "boundary", "large"],
)
def test_the_size_category_follows_the_rows(overview, rows, category):
    sized = dataclasses.replace(overview, summary={**SUMMARY, "total_rows": rows})
    assert f"- {category}\n" in render_card(sized)


@pytest.mark.parametrize(
    ("weights", "shown"),
    [({"a": 1.7, "b": 0.3}, True), ({"a": 1.0, "b": 1.0}, False)],
    ids=["aimed", "uniform"],
)
def test_the_page_shows_the_weights_of_an_aimed_round(overview, weights, shown):
    aimed = dataclasses.replace(overview, summary={**SUMMARY, "seed_weights": weights})
    assert ("<h2>Aim</h2>" in render_page(aimed)) == shown
    assert ("<td>1.7</td>" in render_page(aimed)) == shown


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_can_be_read_on_screens_of_any_width(browser, overview, tmp_path, width):
    path = tmp_path / "index.html"
    path.write_text(render_page(overview), encoding="utf-8")
    browser.open(path.as_uri(), width)
    assert browser.overflow() == 0
    narrow = browser.run(
        "return [...document.querySelectorAll('td, .bars span, .numbers li')]"
        ".filter(e => e.innerText.trim().length > 3 && e.clientWidth < 30)"
        ".map(e => e.innerText)"
    )
    assert narrow == [], "words are not broken into letters"
    assert browser.run("return document.querySelector('.track i').clientWidth") > 50
