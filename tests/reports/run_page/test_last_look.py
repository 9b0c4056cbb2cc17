"""The test split in the tables of the report: of the kept round, and of who answered it."""

import pytest

from core.reports.last_look import LastLook
from reports.run_page.page import render_run
from reports.wording import MODEL_NAMES
from tests.html_page import Page, rate_text


@pytest.fixture
def looked(summary):
    """Makes the summary after the last look, with the scorer of the gate."""
    best = summary.best

    def make(scorer="judge"):
        models = {name: best.report.models[name].holdout for name in ("tuned", "service")}
        look = LastLook(holdout_looks=2, models=models, threshold_percent=70.0, reached=True)
        gate = best.report.gate.model_copy(update={"scorer": scorer})
        report = best.report.model_copy(update={"last_look": look, "gate": gate})
        rounds = (*summary.rounds[:-1], best.model_copy(update={"report": report}))
        return summary.model_copy(update={"rounds": rounds})

    return make


def _table(page, first, columns):
    """Return the rows of the tables that begin with a cell and have so many columns."""
    return [row for row in page.rows if row and row[0] == first and len(row) == columns]


def test_before_and_after_has_the_test_split_of_the_models_that_answered_it(looked):
    made = looked()
    text = render_run(made, [])
    look, page = made.best.report.last_look, Page(text)
    (head,) = (row for row in _table(page, "Model", 6) if row[5] == "Tuned vs. this model")
    assert head[1:5] == ["test", "holdout", "seed", "overall"]
    for model, name in MODEL_NAMES.items():
        (row,) = _table(page, name, 6)
        assert row[1] == (rate_text(look.models[model]) if model in look.models else "-")
    assert "A model with a dash did not answer it." in text
    assert "its rates are by" not in text


def test_only_the_kept_round_has_a_rate_on_the_test_split(looked):
    made = looked()
    page = Page(render_run(made, []))
    cells = [row for row in page.rows if len(row) == 7 and row[5] in ("passed", "not passed")]
    assert [row[1] for row in cells] == ["-", rate_text(made.best.report.last_look.models["tuned"])]


def test_another_scorer_of_the_test_split_is_named(looked):
    text = render_run(looked("json_fields"), [])
    assert "its rates are by JSON fields, the others by the judge." in text
    assert "where its rate is by JSON fields." in text


def test_without_a_last_look_no_table_has_the_test_split(summary):
    page = Page(render_run(summary, []))
    assert not [row for row in page.rows if "test" in row]
    assert _table(page, MODEL_NAMES["tuned"], 5)
