"""The notebook about fine-tuning, executed with the tiny model."""

import pytest

from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


def test_components_run_one_by_one_up_to_a_tuned_model(executed, tmp_path):
    notebook, found = executed(
        "04_fine_tune",
        {
            "nodes": "sorted(nodes)",
            "rows": "{split: len(rows) for split, rows in synthetic.items()}",
            "text": "texts[0]",
            "training": "training",
            "prompts": "[row.prompt for row in few]",
            "before": "{key: row.prompt for key, row in before.items()}",
            "after": "{key: row.prompt for key, row in after.items()}",
            "holdout": "len(holdout)",
            "means": "means",
            "report": "report",
        },
        PRESET="smoke",
        ROWS=24,
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 2
    assert {"SynthDataGen", "Transform", "Trainer", "ResponseGen"} <= set(found["nodes"])
    assert sum(found["rows"].values()) == 24
    prompt, response = found["text"]
    assert prompt.startswith("<start_of_turn>user\n")
    assert response.endswith("<end_of_turn>")
    training = found["training"]
    assert len(training["losses"]) == training["steps"] == 4, "as the preset limits them"
    assert training["eval_loss"] < training["eval_loss_before"]
    assert found["before"] == found["after"]
    assert sorted(found["after"].values()) == sorted(found["prompts"])
    assert (len(found["prompts"]), found["holdout"]) == (20, 8)
    assert set(found["means"]) == {"before", "after"}
    assert found["report"]["models"]["tuned"]["overall"]["total"] == 20
    assert found["report"]["stand_in"] is True
    assert list((tmp_path / "output/tfx/Trainer/model").glob("*/Format-Serving/adapter.lora.h5"))
