"""Several base models on the rows of a run: the nodes, the options, the text, and a whole sweep."""

import html
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import UserError
from core.reports.coverage import Change
from core.reports.loop import LoopSummary, RoundArtifacts
from core.reports.operation import Latency, OwnAnswers
from core.reports.sweep import SweepReport, SweptModel
from core.usage import Usage
from pipeline.cli import sweep as cli_sweep
from pipeline.cli.sweep import model_names, sweep_text
from pipeline.config import load_config
from pipeline.local import sweep as local_sweep
from pipeline.local.sweep import config_of
from reports.run_page.page import render_run
from reports.wording import SWEEP_CAVEAT
from tests.evaluation import coverage_rows, verdict
from tests.html_page import plain
from tests.pipeline.round_nodes import pipeline_nodes
from tests.records import loop_summary, rate, training_record

ROOT = Path(__file__).parents[2]
ROWS = "/runs/rows/7"
NODES = (
    "CoverageExampleGen",
    "KeptRows",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "Trainer",
    "ResponseGen",
    "LLMEvaluator",
)


def swept(preset, covered, **changes):
    values = {
        "preset": preset,
        "parameters": 268_098_176,
        "size_bytes": 536_000_000,
        "dtype": "bfloat16",
        "rate": rate(covered, 40, 30.0, 80.0),
        "strict": None,
        "change": None,
        "eval_loss": 0.1,
        "training_seconds": 130.0,
        "own": OwnAnswers(
            responses=40,
            left_out=8,
            batch_size=8,
            latency=Latency(p50_seconds=1.25, p95_seconds=2.5),
            per_second=6.4,
        ),
        "model": "/runs/model",
        "report": "/runs/report",
    }
    return SweptModel(**(values | changes))


@pytest.fixture
def sweep():
    better = Change(
        prompts=40,
        gained=9,
        lost=1,
        difference_points=20.0,
        p_value=0.021,
        significant=True,
        gained_ids=(),
        lost_ids=(),
    )
    other = swept(
        "gemma3_<1b>", 30, change=better, parameters=None, own=None, size_bytes=2_000_000_000
    )
    return SweepReport(
        task="support_triage",
        created="2026-11-30T07:00:00+00:00",
        round=1,
        synthetic=ROWS,
        train_rows=1234,
        split="holdout",
        kept=swept("packaged:gemma3-270m", 22),
        models=(other,),
        usage=Usage(),
        stand_in=True,
    )


def test_the_models_are_those_that_the_run_did_not_train():
    assert model_names(" a, b,a ,,kept", "kept") == ["a", "b"]
    with pytest.raises(UserError, match="no base model besides the run's own"):
        model_names("kept,", "kept")


def test_a_model_is_trained_on_the_kept_rows_and_nothing_else_is_made():
    overrides = ["evaluator.gate.relative_to_service=true", "training.sequence_length=300"]
    config = config_of(load_config("smoke", overrides, environ={}), "random:llama3-tiny")
    nodes = pipeline_nodes(config, round=2, rows_uri=ROWS, until="evaluate")
    assert set(nodes) == set(NODES)
    assert nodes["Transform"].inputs["examples"].producer_component_id == "KeptRows"
    assert nodes["ResponseGen"].exec_properties["splits"] == "seed,holdout"
    assert config.evaluator.baselines == ("service",)
    assert config.training.exports == ()
    assert config.training.sequence_length is None, "each tokenizer has lengths of its own"


def test_the_text_has_coverage_size_and_speed(sweep):
    kept, other = sweep_text(sweep).split("packaged:gemma3-270m: ")[1].split("gemma3_<1b>: ")
    assert kept.startswith("55.0 % (22 of 40, 30.0 % to 80.0 %); the run's own")
    assert "268 million weights, 536 MB in bfloat16" in kept
    assert "1.25 s (median) to 2.50 s (95 %), 6.40 a second, 8 at once" in kept
    assert other.startswith("75.0 % (30 of 40, 30.0 % to 80.0 %); +20.0 points; prompts gained 9")
    assert "2,000 MB in bfloat16; speed not measured" in other
    assert SWEEP_CAVEAT in other


def test_the_page_of_the_run_shows_it_while_the_run_keeps_these_rows(sweep):
    artifacts = RoundArtifacts(synthetic=ROWS, model="", report="", exports="", pushed="")
    verdicts = [verdict(row, "tuned", covered=True) for row in coverage_rows(4)]
    page = render_run(loop_summary([artifacts], 1), verdicts, sweep=sweep)
    assert '<th scope="row">gemma3_&lt;1b&gt;</th>' in page
    assert SWEEP_CAVEAT in html.unescape(page)
    assert "+20.0 points" in plain(page)
    others = artifacts.model_copy(update={"synthetic": "/runs/rows/9"})
    assert "gemma3_&lt;1b" not in render_run(loop_summary([others], 1), verdicts, sweep=sweep)


def test_a_sweep_compares_with_the_kept_model_on_rows_without_personal_data(tmp_path, monkeypatch):
    rows = [
        {"id": f"r{n}", "prompt": f"Key {n} is sk-{'aZ9' * 200}{n}", "output": "yes"}
        for n in range(8)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "rows.jsonl").write_text(lines)
    overrides = [f"coverage_dir={tmp_path / 'rows'}", f"output_dir={tmp_path / 'output'}"]
    overrides += ["privacy.redact=true"]
    artifacts = RoundArtifacts(synthetic="", model="", exports="", pushed="", report="")
    trained = training_record(preset="gemma3_270m")
    config = load_config("offline", overrides, environ={}).model_dump(mode="json")
    summary = loop_summary([artifacts], 1, training=trained, config=config)
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "summary.json").write_text(summary.to_json())
    found, said, looked_for = [], [], []
    monkeypatch.setattr(cli_sweep, "shown", lambda paths, work: work(None))
    monkeypatch.setattr(
        cli_sweep, "check_base_model", lambda config: looked_for.append(config.training.preset)
    )
    monkeypatch.setattr(cli_sweep, "sweep_text", str)
    monkeypatch.setattr(local_sweep, "sweep_locally", lambda configs, *_: found.extend(configs))
    swept = "gemma3_270m,gemma3_instruct_1b,packaged:gemma3-270m"
    changed = [*overrides, "training.epochs=9", "training.exports=[]"]
    cli_sweep.sweep(preset="offline", overrides=changed, models=swept, say=said.append)
    presets = [config.training.preset for config in found]
    assert presets == ["gemma3_instruct_1b", "packaged:gemma3-270m"], "the run's was the first"
    assert looked_for == presets, "a model that is not there is found before the first training"
    assert {config.training.sequence_length for config in found} == {512}, "with keys it is more"
    assert len(said) == 1
    assert said[0].splitlines()[1:] == ["  training.epochs: 2 -> 9"]


@pytest.mark.slow
@pytest.mark.soak
def test_random_models_are_swept_after_a_run_and_a_second_time_from_the_cache(tmp_path):
    def run(*words):
        command = [sys.executable, "local_runner.py", *words]
        options = ["--preset", "smoke", "--set", f"output_dir={tmp_path}"]
        options += ["--set", "rounds.max_rounds=1"]
        done = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    run("run")
    models = ["random:mistral-tiny", "random:llama3-tiny", "random:qwen-tiny"]
    done = run("sweep", "--models", ",".join(models))
    sweep = SweepReport.read(str(tmp_path / "sweep.json"))
    summary = LoopSummary.read(str(tmp_path / "summary.json"))
    assert [model.preset for model in sweep.models] == models
    assert sweep.kept.preset == "random:gemma3-tiny"
    assert sweep.synthetic == summary.best.artifacts.synthetic
    prompts = {model.rate.prompts for model in (sweep.kept, *sweep.models)}
    assert len(prompts) == 1, "all on the same ones"
    for model in sweep.models:
        assert model.size_bytes > 4 * model.parameters > 0, "float32 weights"
        assert model.change.prompts == model.rate.prompts
        assert f"{model.preset}: " in done.stdout
    assert "random:llama3-tiny" in (tmp_path / "report.html").read_text(encoding="utf-8")
    again = run("sweep", "--models", ",".join(models))
    assert again.stderr.count("Trainer is cached") == len(models)


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("judge={provider: openai, model: other}", "judge"),
        ("service_llm.model=stand-in-2", "service_llm.model"),
        ("task.instruction=Sort it.", "task.instruction"),
        ("privacy.redact=true", "privacy.redact"),
        ("training.epochs=7", "training.epochs"),
    ],
)
def test_what_models_are_judged_by_and_the_run_was_not_is_listed(override, path):
    """Their answers are compared with verdicts of the run."""
    before = load_config("offline").model_dump(mode="json")
    summary = SimpleNamespace(config=before)
    lines = list(cli_sweep._changed_settings(load_config("offline", [override]), summary))
    assert len(lines) >= 1
    assert all(line.startswith(f"  {path}") for line in lines)
    same = ["service_llm.requests_per_minute=7", "service_llm.timeout_seconds=9"]
    assert not list(cli_sweep._changed_settings(load_config("offline", same), summary))
