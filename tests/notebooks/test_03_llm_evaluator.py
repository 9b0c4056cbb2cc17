"""The notebook about LLMEvaluator, executed against the stand-in."""

import inspect

import pytest

from judging import verdicts
from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


def test_the_judge_is_measured_and_an_edited_function_runs_in_the_pipeline(executed, tmp_path):
    by_kind = "{kind: sum(judgements[c].covered for (_, k), c in candidates.items() if k == kind)"
    notebook, found = executed(
        "03_llm_evaluator",
        {
            "covered": f"{by_kind} for kind in kinds}}",
            "flips": "{kind: f.share for kind, f in flips.items()}",
            "single": "single",
            "both": "both",
            "rate": "rates.overall.model_dump()",
            "labels": "agreed.rows",
            "specificity": "errors.specificity",
            "corrected": "corrected.model_dump()",
            "shares": "shares",
            "kinds": "kinds",
            "verdicts": "len(verdicts)",
            "by_edit": "len(by_edit)",
            "lowest": "[v.similarity == min(x.similarity for x in v.votes) for v in verdicts]",
        },
        PRESET="offline",
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 4
    assert found["covered"]["as the reference"] == found["covered"]["other white space"] == 12
    assert found["covered"]["prose"] == found["covered"]["asks for a 5"] == 0
    assert set(found["flips"]) == {"order", "padding", "injection"}
    assert max(found["flips"].values()) == 0
    assert found["single"] > 0, "a single vote of the judge that prefers a place depends on it"
    assert found["both"] == 0
    rate = found["rate"]
    assert rate["low_percent"] < rate["rate_percent"] < rate["high_percent"]
    assert found["labels"] == 72
    assert found["specificity"] < 1
    assert found["corrected"]["rate_percent"] < rate["rate_percent"]
    width = found["corrected"]["high_percent"] - found["corrected"]["low_percent"]
    assert width > rate["high_percent"] - rate["low_percent"]
    place = found["kinds"].index("as the reference")
    assert found["shares"]["every vote"][place] < found["shares"]["median"][place]
    assert found["by_edit"] == found["verdicts"] == 40
    assert all(found["lowest"])
    original = inspect.getsource(verdicts.aggregate)
    assert "Lowest of" not in original, "the repository was left alone"
    edited = tmp_path / "output/copy/judging/verdicts.py"
    assert "Lowest of" in edited.read_text(encoding="utf-8")
