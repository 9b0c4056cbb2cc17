"""`understudy rows`: what a round kept and dropped, in the terminal."""

import json
from types import SimpleNamespace

import pytest

import local_runner
from components.examples_io import write_examples
from core.reports.loop import RoundArtifacts
from core.synthetic_records import Dropped
from tests.records import loop_summary, synthetic_row

DROPPED = [
    Dropped("leak", "similarity 0.83", "Where is my kettle?", nearest_id="held"),
    Dropped("near_duplicate", "similarity 0.74", "My lamp, again", nearest_text="My lamp is off"),
    Dropped("form", "not JSON", "Hello", "Hi there", source="logged"),
]


@pytest.fixture
def rows(tmp_path, capsys):
    """A finished run of one round, and the command on it."""
    coverage = tmp_path / "coverage"
    coverage.mkdir()
    pairs = [
        {"id": "held", "prompt": "Where is the kettle?", "output": "shipping", "split": "holdout"},
        {"id": "seen", "prompt": "My lamp", "output": "defect", "split": "seed"},
    ]
    (coverage / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    synthetic = SimpleNamespace(uri=str(tmp_path / "synthetic"), split_names="")
    synthetic.set_int_custom_property = synthetic.set_string_custom_property = lambda *_: None
    of = {"train": [synthetic_row("a", "first prompt")], "eval": [synthetic_row("b", "second")]}
    write_examples(synthetic, {s: [r.features() for r in of[s]] for s in of}, span=1)
    (tmp_path / "synthetic" / "quarantine.jsonl").write_text(
        "".join(f"{entry.to_json()}\n" for entry in DROPPED)
    )
    artifacts = RoundArtifacts(synthetic=synthetic.uri, model="", exports="", report="", pushed="")
    output = tmp_path / "output"
    output.mkdir()
    (output / "summary.json").write_text(loop_summary([artifacts], 1).to_json())

    def rows(*arguments):
        settings = [f"coverage_dir={coverage}", f"output_dir={output}"]
        given = [part for value in settings for part in ("--set", value)]
        status = local_runner.main(["rows", *given, *arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return rows


def test_dropped_rows_come_with_the_text_of_the_row_they_are_near_to(rows):
    status, said = rows("--dropped")
    assert status == 0
    assert "leak (generated): similarity 0.83" in said
    assert "near the holdout row held: Where is the kettle?" in said
    assert "near the row: My lamp is off" in said
    assert "form (logged): not JSON" in said
    assert "3 of 3 shown." in said


def test_one_reason_can_be_chosen_and_an_unknown_one_is_refused(rows):
    status, said = rows("--dropped", "--reason", "leak")
    assert status == 0
    assert "near_duplicate (1)" in said
    assert "My lamp" not in said
    status, said = rows("--dropped", "--reason", "leek")
    assert status == 2
    assert "Nothing was dropped as 'leek'. Reasons in this round: leak (1)," in said
    assert rows("--reason", "leak")[0] == 2
    assert rows("--round", "7")[0] == 2


def test_lines_of_json_are_those_of_the_quarantine(rows):
    said = rows("--dropped", "--json", "--count", "2")[1]
    assert [Dropped.from_json(line) for line in said.splitlines()] == DROPPED[:2]


def test_kept_rows_are_shown_with_their_source(rows):
    status, said = rows()
    assert status == 0
    assert "a: round 1, generated" in said
    assert "prompt: second" in said
