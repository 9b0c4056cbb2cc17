"""The notebook about SynthDataGen, executed against the stand-in."""

import pytest

from components.synth_data_gen import templates
from tests.notebooks.conftest import errors_in, plots_in

pytestmark = pytest.mark.slow


def test_each_step_works_and_an_edited_prompt_runs_in_the_pipeline(executed, tmp_path):
    notebook, found = executed(
        "02_synth_data_gen",
        {
            "attributes": "sorted(dict(attributes))",
            "from_journal": "again.from_journal",
            "problems": "problems",
            "dropped": "{d.reason: d.nearest_id or d.nearest_text for d in dropped}",
            "holdout": "holdout.id",
            "first": "written[0].prompt",
            "answered": "[form.problem(c.output) for c in answered]",
            "kept": "len(generation.kept)",
            "same_kind": "same_kind",
            "characters": "characters",
            "asked_with": "sorted(asked_with)",
            "in_pipeline": "in_pipeline",
        },
        PRESET="offline",
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 4
    assert {"length", "tone", "persona"} <= set(found["attributes"])
    assert found["from_journal"]
    assert [name for name, problem in found["problems"].items() if problem] == [
        "an unknown value",
        "prose",
    ]
    assert found["dropped"]["leak"] == found["holdout"]
    assert found["dropped"]["near_duplicate"] == found["first"]
    assert found["answered"]
    assert not any(found["answered"])
    assert found["kept"] == 40
    assert found["characters"]["v4"] < found["characters"]["v3"]
    # Without examples a message shares the seed's kind by chance only: one of six categories.
    assert found["same_kind"]["v4"] < 0.5 < 0.8 < found["same_kind"]["v3"]
    assert found["asked_with"] == ["v4"]
    assert found["in_pipeline"] < 0.8
    assert templates.VERSIONS[templates.PROPOSE_PROMPTS] == "v3", "the repository was left alone"
    edited = tmp_path / "output/copy/components/synth_data_gen/prompts/propose_prompts.v4.jinja"
    assert "{{ examples }}" not in edited.read_text(encoding="utf-8")
