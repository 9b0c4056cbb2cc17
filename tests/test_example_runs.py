"""The example tasks, whole: one round of each preset with a scripted service and a random model.

The service is a server on loopback that speaks OpenAI's API; its outputs are those of seeds, so
that every filter sees what the task's form asks for.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.reports.loop import LoopSummary
from pipeline.config import load_config
from task.coverage.reader import read_coverage
from tests.scripted_service import scripted
from tests.service_llm.conftest import ScriptedServer

ROOT = Path(__file__).resolve().parents[1]
ROWS = 8
SETTINGS = (
    "service_llm.provider=openai",
    "service_llm.model=scripted",
    "service_llm.api_key_env=null",
    "service_llm.thinking=null",
    "service_llm.requests_per_minute=60000",
    "service_llm.price={prompt_usd_per_million_tokens: 1, output_usd_per_million_tokens: 1}",
    "rounds.max_rounds=1",
    f"synth.rows_per_round={ROWS}",
    "synth.prompts_per_request=4",
    "synth.edge_case_fraction=0",
    "training.preset=random:gemma3-tiny",
    "training.dtype=float32",
    "training.sequence_length=8192",
    "training.batch_size=2",
    "training.max_steps=1",
    "generation.dtype=float32",
    "generation.max_output_tokens=4",
    "evaluator.votes=1",
    "evaluator.baselines=[]",
    "evaluator.gate.threshold_percent=0",
    "push.destination=local",
)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("preset", "kind"), [("invoices", "json"), ("email-summary", None)])
def test_an_example_goes_from_its_pairs_to_a_push(preset, kind, tmp_path):
    task = load_config(preset, environ={})
    seeds = [row for row in read_coverage(task.coverage_dir) if row.split == "seed"]
    server = ScriptedServer()
    server.respond = scripted([seed.output for seed in seeds])
    values = [f"output_dir={tmp_path}", f"service_llm.base_url={server.url}/v1", *SETTINGS]
    done = subprocess.run(
        [
            *(sys.executable, "local_runner.py", "run", "--preset", preset),
            *(part for value in values for part in ("--set", value)),
        ],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    server.close()
    assert done.returncode == 0, done.stderr
    summary = LoopSummary.read(str(tmp_path / "summary.json"))
    [entry] = summary.rounds
    assert (summary.stand_in, entry.blessed) == (False, True)
    assert entry.synthesis.kept == ROWS
    assert entry.training.rows_too_long == 0
    assert entry.report.models["tuned"].holdout.total == 25
    judged = [prompt for prompt in server.prompts if prompt.startswith("Compare two answers")]
    assert len(judged) == 50
    strict = entry.report.strict
    assert (strict["tuned"].kind if strict else None) == kind
    kinds = {
        path.relative_to(tmp_path / "hub").parts[0]
        for path in tmp_path.rglob("README.md")
        if "hub" in path.parts
    }
    assert kinds == {"models", "datasets", "spaces"}
