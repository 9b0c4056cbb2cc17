"""A run that waits for a person: what it says, and how it goes on."""

import pytest

import local_runner
from pipeline.cli import local
from pipeline.local.pauses import (
    PausedError,
    is_approved,
    pause_for_approval,
    pause_for_review,
    paused_rows,
    reviewed_rows,
)

LINES = ['{"id": "a", "prompt": "p", "output": "o"}', '{"id": "b", "prompt": "q", "output": "o"}']


def test_the_next_run_takes_the_rows_up_as_the_person_left_them(tmp_path):
    folder = tmp_path / "round-1"
    assert reviewed_rows(folder, "synthetic/5") is None
    message = str(pause_for_review(folder, "synthetic/5", LINES))
    rows = folder / "rows.jsonl"
    assert f"2 new rows are in {rows}" in message
    assert "run the same command again" in message
    first = reviewed_rows(folder, "synthetic/5")
    assert (first.paused_uri, first.uri) == ("synthetic/5", str(rows))
    rows.write_text(LINES[0])
    assert reviewed_rows(folder, "synthetic/5").version != first.version
    assert paused_rows(tmp_path) == (1, "synthetic/5")


def test_other_rows_are_looked_at_again_and_no_edit_is_lost(tmp_path):
    folder = tmp_path / "round-1"
    pause_for_review(folder, "synthetic/5", LINES)
    (folder / "rows.jsonl").write_text("my edits")
    assert reviewed_rows(folder, "synthetic/9") is None
    message = str(pause_for_review(folder, "synthetic/9", LINES))
    assert (folder / "rows.jsonl.1").read_text() == "my edits"
    assert "rows.jsonl.1" in message
    (folder / "rows.jsonl").unlink()
    assert reviewed_rows(folder, "synthetic/9") is None, "it pauses again"


def test_a_model_is_pushed_only_by_the_run_after_the_pause(tmp_path):
    file = tmp_path / "approvals" / "round-2.json"
    assert not is_approved(file, "model/1")
    message = str(pause_for_approval(file, model_uri="model/1", exports_uri="e", report_uri="r"))
    assert "r/evaluation.html" in message
    assert is_approved(file, "model/1")
    assert not is_approved(file, "model/2"), "another model is another decision"


def test_a_pause_has_an_exit_status_of_its_own_and_says_what_to_do(monkeypatch, capsys):
    def pause(**options):
        raise PausedError("Paused. Run the same command again.")

    monkeypatch.setattr(local, "run", pause)
    assert local_runner.main(["run"]) == 3
    assert capsys.readouterr().err == "Paused. Run the same command again.\n"


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ("rounds.pause_after=synth", "run a round on this machine: understudy run"),
        ("push.approve=true", "push to private repositories (push.private=true)"),
    ],
)
def test_on_vertex_ai_a_pause_is_refused_by_name(setting, instead, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    overrides = (
        setting,
        "service_llm.vertex_project=p",
        "vertex.project=team",
        "vertex.pipeline_root=gs://bucket/f",
        "vertex.image=europe-west4-docker.pkg.dev/p/understudy/pipeline:1",
    )
    settings = [part for override in overrides for part in ("--set", override)]
    target = tmp_path / "job.json"
    for command in (["compile", "--output", str(target)], ["run"]):
        assert local_runner.main(["vertex", *command, "--preset", "vertex", *settings]) == 2
        refused = capsys.readouterr().err
        assert f"{setting.split('=')[0]} stops a run on this machine" in refused
        assert instead in refused
    assert not target.exists()
