"""Pauses in the whole loop, as a user starts it: the `smoke` preset, one round, logged rows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.examples_io import read_examples
from core.reports.loop import LoopSummary
from core.synthetic_records import SyntheticRow
from service_llm.journal.journal import Journal
from task.coverage.logged import write_logged
from task.coverage.reader import read_coverage
from tests.components.synth_data_gen.logged_rows import logged_rows

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def run(folder, *overrides, status=0):
    values = [
        f"output_dir={folder / 'output'}",
        f"coverage_dir={folder / 'coverage'}",
        "service_llm.api_key_env=SMOKE_KEY",
        "rounds.max_rounds=1",
        "synth.train_on_rest=true",
        "synth.score_logged=false",  # these rows are not what the service would answer
        *overrides,
    ]
    pairs = [part for value in values for part in ("--set", value)]
    done = subprocess.run(
        [sys.executable, "local_runner.py", "run", "--preset", "smoke", *pairs],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "UNDERSTUDY_STANDIN_URL"}
        | {"SMOKE_KEY": "any"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr[-3000:]
    return done.stderr


def coverage_with(folder, count):
    target = folder / "coverage"
    shutil.copytree(ROOT / "data" / "coverage" / "smoke", target)
    rows = read_coverage(str(target))
    write_logged(target, logged_rows([row for row in rows if row.split == "seed"], count))


def calls(folder, component="SynthDataGen"):
    journal = Journal(str(folder / "output" / "journal"))
    try:
        return journal.usage(component, 1).calls
    finally:
        journal.close()


def test_a_run_pauses_for_edits_and_for_the_push_and_pays_for_nothing_twice(tmp_path):
    coverage_with(tmp_path, 10)
    settings = [
        "rounds.pause_after=synth",
        "push.approve=true",
        "evaluator.gate.threshold_percent=0",
    ]
    output = tmp_path / "output"
    said = run(tmp_path, *settings, status=3)
    rows = output / "review" / "round-1" / "rows.jsonl"
    assert str(rows) in said
    assert not (output / "tfx" / "Trainer").exists()
    asked = calls(tmp_path)
    assert asked > 0

    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    assert {line["source"] for line in lines} == {"generated", "logged"}
    generated = next(line for line in lines if line["source"] == "generated")
    deleted = next(line for line in lines if line["split"] == "train" and line != generated)
    lines.remove(deleted)
    output_text = generated["output"]
    generated["output"] = output_text.replace("normal", "high").replace("low", "normal")
    lines.append({"prompt": "A person wrote this one by hand", "output": output_text})
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    said = run(tmp_path, *settings, status=3)
    assert "Paused before the push" in said
    assert not (output / "hub").exists()
    assert calls(tmp_path) == asked
    judged = calls(tmp_path, "LLMEvaluator")

    run(tmp_path, *settings)
    assert calls(tmp_path) == asked
    assert calls(tmp_path, "LLMEvaluator") == judged
    (found,) = LoopSummary.read(str(output / "summary.json")).rounds
    assert found.pushed is not None
    assert (output / "hub").exists()
    data = found.synthesis
    assert (data.edits.deleted, data.edits.added) == (1, 1)
    assert data.total_rows == len(lines)
    assert data.sources["person"] == 1
    trained = [
        SyntheticRow.from_features(row)
        for split in ("train", "eval")
        for row in read_examples(found.artifacts.synthetic, split)
    ]
    assert {(row.prompt, row.output) for row in trained} == {
        (line["prompt"], line["output"]) for line in lines
    }
    assert found.training.train_rows == data.train_rows
