"""A report of 20 rounds and 2,000 prompts stays light, and links to the files of its rounds."""

import shutil
import urllib.parse
from pathlib import Path

import pytest

from core import artifact_files
from reports.links import address, run_page_from
from reports.run_page.page import render_run, write_results
from tests.html_page import Page, embedded_rows
from tests.long_report import PROMPTS, write_long_report

_NODES = "return document.querySelectorAll('*').length"


@pytest.fixture(scope="module")
def long_page(tmp_path_factory):
    """The address of the report."""
    file = write_long_report(tmp_path_factory.mktemp("long"))
    assert len(embedded_rows(file.read_text(encoding="utf-8"))) >= PROMPTS
    return file.as_uri()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_it_never_has_more_than_3000_nodes_whatever_is_opened(browser, long_page, width):
    browser.open(long_page, width)
    assert browser.run(_NODES) < 3000
    parts = browser.find_elements("css selector", "details.later > summary")
    assert len(parts) == 8, "tables, files, artifacts, versions, configuration"
    for part in parts:
        before = browser.run(_NODES)
        browser.run("arguments[0].click()", part)
        browser.wait_for(
            f"document.querySelectorAll('details.later[open]').length === 1"
            f" && document.querySelectorAll('*').length !== {before}"
        )
        browser.run("document.querySelector('#table tr.row button').click()")
        assert browser.run(_NODES) < 3000, part.text
    assert browser.overflow() == 0
    assert browser.complaints() == []


@pytest.mark.slow
def test_a_print_leaves_the_rows_out(browser, long_page):
    browser.open(long_page, 1280)
    pages = browser.printed_pages()
    assert pages <= 20
    browser.run("document.getElementById('prompts').remove()")
    assert browser.printed_pages() == pages, "the rows take no paper"


def test_a_short_report_shows_its_tables_at_once(results):
    text = (results / artifact_files.RUN_PAGE).read_text(encoding="utf-8")
    assert text.count('<details class="later">') == 3, "artifacts, versions, configuration"
    assert ["Trainer", "2 min 23 s", "2 min 23 s"] in Page(text).rows


def test_every_file_of_every_round_is_linked_by_an_address_that_moves_along(
    artifacts, two_rounds, summary, tmp_path
):
    output = artifacts.root.parent
    (output / artifact_files.LOG).write_text("log")
    files = {"summary_file": output / "summary.json", "report_file": output / "report.html"}
    write_results(summary, **files)
    moved = tmp_path / "elsewhere" / "output"
    shutil.copytree(output, moved)
    page = Page((moved / "report.html").read_text(encoding="utf-8"))
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    made = {str(moved / urllib.parse.unquote(link)) for link in links}
    for entry in summary.rounds:
        for folder, name in (
            ("report", artifact_files.EVALUATION_PAGE),
            ("synthetic", artifact_files.DATASET_PAGE),
            ("synthetic", artifact_files.CARD),
            ("model", artifact_files.SERVING_FOLDER),
        ):
            at = moved / "artifacts" / folder / str(entry.round) / name
            assert str(at) in made, at
    assert (moved / "artifacts" / "model" / "1" / artifact_files.SERVING_FOLDER).is_dir()
    assert artifact_files.LOG in links
    assert [link for link in links if link.endswith("main/README.md")], (
        "the card of what was pushed"
    )


def test_a_run_without_a_log_links_none(summary, verdict_rows):
    assert f'href="{artifact_files.LOG}"' not in render_run(summary, verdict_rows)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("gs://bucket/a b/index.html", "https://storage.cloud.google.com/bucket/a%20b/index.html"),
        ("https://huggingface.co/me/model", "https://huggingface.co/me/model"),
        ("/out/tfx/model: 1/x", "tfx/model%3A%201/x"),
        ("/elsewhere/x", "../elsewhere/x"),
    ],
    ids=["cloud", "web", "below", "beside"],
)
def test_an_address_leads_to_the_file(uri, found):
    assert address(uri, Path("/out")) == found


def test_pages_in_artifacts_lead_to_the_report_of_their_run(tmp_path):
    artifact = tmp_path / "output" / "tfx" / "LLMEvaluator" / "report" / "7"
    artifact.mkdir(parents=True)
    assert run_page_from(str(artifact)) is None
    (tmp_path / "output" / artifact_files.RUN_PAGE).touch()
    assert run_page_from(str(artifact)) == "../../../../report.html"
    assert run_page_from("gs://bucket/tfx/LLMEvaluator/report/7") is None
