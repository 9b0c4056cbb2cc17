"""Rounds as the components leave them (real verdict rows, rates and gate)."""

import json

import pytest

from components.llm_evaluator import report
from components.llm_evaluator.evaluate import Previous, report_on
from components.llm_evaluator.settings import EvaluatorSettings
from pipeline.config import load_config
from pipeline.metadata import NodeRun, PipelineRun
from pipeline.rounds import LoopResult, RoundResult, StopReason
from pipeline.summary import make_summary
from tests.evaluation import coverage_rows, verdicts_of

NODES = (
    ("CoverageExampleGen", 2.31),
    ("SynthDataGen", 48.2),
    ("StatisticsGen", 3.9),
    ("SchemaGen", 0.4),
    ("ExampleValidator", 0.6),
    ("Transform", 6.8),
    ("Trainer", 142.7),
    ("ResponseGen", 33.0),
    ("BaseResponseGen", 35.5),
    ("FewShotResponseGen", 41.0),
    ("LLMEvaluator", 21.4),
    ("HFPusher", 1.2),
)


def write_json(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def usage(calls, cost):
    return {
        "calls": calls,
        "prompt_tokens": 900 * calls,
        "output_tokens": 70 * calls,
        "cost_usd": cost,
    }


class Artifacts:
    """The artifacts of a loop's rounds under one folder."""

    def __init__(self, root, *, stand_in=True, scorer="judge"):
        self.root = root
        self.stand_in = stand_in
        self.settings = EvaluatorSettings.model_validate({"gate": {"scorer": scorer}})
        self.results = []
        self.runs = {}
        self._previous = None

    def add_round(self, verdicts, *, cost=0.0125):
        number = len(self.results) + 1
        folders = {
            kind: self.root / kind / str(number)
            for kind in ("synthetic", "model", "report", "pushed")
        }
        gate = self._write_report(folders["report"], number, verdicts, cost)
        self._write_synthesis(folders["synthetic"], number, cost)
        self._write_training(folders["model"], number)
        if gate.passed:
            write_json(
                folders["pushed"] / "pushed.json",
                {
                    "destination": "output/hub/models/local/support-triage",
                    "local": True,
                    "repositories": {"model": "local/support-triage"},
                    "tag": f"round-{number}-0123abcd",
                    "commits": {"model": "0123abcd" * 5},
                },
            )
        self.results.append(
            RoundResult(
                round=number,
                run_id=f"run-{number}",
                coverage_rate=gate.rate_percent,
                blessed=gate.passed,
                synthetic_uri=str(folders["synthetic"]),
                report_uri=str(folders["report"]),
                model_uri=str(folders["model"]),
                pushed_uri=str(folders["pushed"]),
                cost_usd=None if cost is None else 2 * cost,
            )
        )
        self.runs[number] = PipelineRun(
            f"run-{number}",
            {
                name: NodeRun(name, number > 1 and name == "CoverageExampleGen", seconds, {})
                for name, seconds in NODES
            },
        )

    def loop(self, stop_reason=StopReason.THRESHOLD_MET):
        return LoopResult(tuple(self.results), stop_reason)

    def _write_report(self, folder, number, verdicts, cost):
        values, gate = report_on(
            verdicts,
            self.settings,
            judge_section=report.judge_section("gemini", "stand-in-1", self.settings),
            previous=self._previous,
        )
        values = {
            "task": "support_triage",
            "round": number,
            **values,
            "usage": usage(400, cost),
            "stand_in": self.stand_in,
        }
        self._previous = Previous(values, verdicts["tuned"])
        write_json(folder / "coverage_report.json", values)
        lines = [row.to_json() for rows in verdicts.values() for row in rows]
        (folder / "verdicts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return gate

    def _write_synthesis(self, folder, number, cost):
        values = {
            "round": number,
            "requested": 700,
            "generated": 688,
            "kept": 512,
            "surplus": 20,
            "dropped": {"duplicate": 101, "leak": 14, "not_generated": 12, "bad_output": 41},
            "total_rows": 512 * number,
            "train_rows": 461 * number,
            "eval_rows": 51 * number,
            "usage": usage(1300, cost),
            "generator": {"provider": "gemini", "model": "stand-in-1"},
            "stand_in": self.stand_in,
        }
        write_json(folder / "synthesis.json", values)

    def _write_training(self, folder, number):
        values = {
            "preset": "packaged:gemma3-270m",
            "dtype": "mixed_bfloat16",
            "steps": 87 * number,
            "losses": [2.5 / (1 + step / 6) for step in range(87 * number - 1)] + [0.2134],
            "eval_losses": [[0, 2.41], [40 * number, 0.1987], [87 * number, 0.2213]],
            "best_step": 40 * number,
            "eval_loss_before": 2.41,
            "eval_loss": 0.1987,
            "tokens": 81234 * number,
            "tokens_per_second": 1402.3,
            "trainable_weights": 737280,
            "hparams": {"epochs": 3},
            "train_rows": 461 * number,
            "eval_rows": 51 * number,
            "rows_too_long": 2,
            "seconds": 121.7,
            "warm_start": f"{self.root}/model/1/Format-Serving" if number > 1 else None,
        }
        write_json(folder / "Format-Serving" / "training.json", values)


@pytest.fixture(scope="session")
def config():
    return load_config("offline", environ={})


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def artifacts_of(tmp_path):
    """Makes the artifacts of another loop."""
    return lambda name, **how: Artifacts(tmp_path / name, **how)


@pytest.fixture
def verdicts():
    """Makes verdict rows by model for the share that the tuned model covers."""
    rows = coverage_rows(60)

    def make(share, seed=1):
        return verdicts_of(
            rows, {"tuned": share, "base": 0.05, "few_shot": 0.2, "service": 0.98}, seed
        )

    return make


@pytest.fixture
def two_rounds(artifacts, verdicts):
    """A first round that fails and a second that passes, with two baselines."""
    for number, share in ((1, 0.55), (2, 0.97)):
        artifacts.add_round(verdicts(share, seed=number))
    return artifacts


@pytest.fixture
def verdict_rows(verdicts):
    """The verdict rows of the second round."""
    return [row for rows in verdicts(0.97, seed=2).values() for row in rows]


@pytest.fixture
def summary(config, two_rounds):
    return make_summary(config, two_rounds.loop(), two_rounds.runs)


@pytest.fixture
def results(tmp_path, summary):
    """The two files, written."""
    from pipeline.report import write_results

    folder = tmp_path / "output"
    write_results(summary, summary_file=folder / "summary.json", report_file=folder / "report.html")
    return folder
