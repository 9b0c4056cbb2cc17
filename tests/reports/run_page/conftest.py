"""Rounds as the components leave them (real verdict rows, rates and gate)."""

import pytest

from core import artifact_files
from core.reports.coverage import CoverageReport
from core.reports.loop import PushRecord, StopReason
from core.reports.operation import Latency, OwnAnswers, ServiceAnswers
from core.reports.synthesis import DatasetFigures
from core.usage import Usage
from judging.report import Previous, describe_judge, make_findings
from judging.settings import EvaluatorSettings
from pipeline.config import load_config
from pipeline.metadata import NodeRun, PipelineRun
from pipeline.rounds import LoopResult, RoundResult
from pipeline.summary import make_summary
from tests.evaluation import coverage_rows, verdicts_of
from tests.records import synthesis_record, training_record

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


def write(folder, name, record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(record.to_json(), encoding="utf-8")


def usage(calls, cost):
    return Usage(calls, 900 * calls, 70 * calls, cost)


class Artifacts:
    """The artifacts of a loop's rounds under one folder."""

    def __init__(self, root, *, stand_in=True, scorer="judge"):
        self.root = root
        self.stand_in = stand_in
        self.settings = EvaluatorSettings.model_validate({"gate": {"scorer": scorer}})
        self.results = []
        self.runs = {}
        self._previous = None
        self.usage = usage

    def add_round(self, verdicts, *, cost=0.0125):
        number = len(self.results) + 1
        folders = {
            kind: self.root / kind / str(number)
            for kind in ("synthetic", "model", "report", "exports", "pushed")
        }
        gate = self._write_report(folders["report"], number, verdicts, cost)
        self._write_synthesis(folders["synthetic"], number, cost)
        self._write_training(folders["model"], number)
        if gate.passed:
            pushed = PushRecord(
                destination="output/hub/models/local/support-triage",
                local=True,
                repositories={"model": "local/support-triage"},
                tag=f"round-{number}-0123abcd",
                commits={"model": "0123abcd" * 5},
            )
            write(folders["pushed"], artifact_files.PUSHED, pushed)
        self.results.append(
            RoundResult(
                round=number,
                run_id=f"run-{number}",
                coverage_rate=gate.rate.rate_percent,
                blessed=gate.passed,
                synthetic_uri=str(folders["synthetic"]),
                report_uri=str(folders["report"]),
                model_uri=str(folders["model"]),
                exports_uri=str(folders["exports"]),
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
        judge = describe_judge("gemini", "stand-in-1", self.settings)
        findings = make_findings(
            verdicts, self.settings, judge=judge, kind="json", previous=self._previous
        )
        report = CoverageReport(
            **dict(findings),
            task="support_triage",
            round=number,
            usage=self.usage(400, cost),
            stand_in=self.stand_in,
            service_answers=ServiceAnswers(
                model="stand-in-1",
                requests=60,
                timed=60,
                counted=60,
                prompt_tokens=54_000,
                output_tokens=4_200,
                latency=Latency(p50_seconds=0.412, p95_seconds=1.25),
                usd_per_request=0.001,
            ),
            own_answers=OwnAnswers(
                responses=52,
                left_out=8,
                batch_size=8,
                latency=Latency(p50_seconds=1.9, p95_seconds=2.31),
                per_second=4.0,
            ),
        )
        self._previous = Previous(number, judge, verdicts["tuned"])
        write(folder, artifact_files.COVERAGE_REPORT, report)
        lines = [row.to_json() for rows in verdicts.values() for row in rows]
        (folder / "verdicts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return report.gate

    def _write_synthesis(self, folder, number, cost):
        record = synthesis_record(
            round=number,
            requested=700,
            generated=688,
            kept=512,
            surplus=20,
            dropped={"duplicate": 101, "leak": 14, "missing": 12, "bad_output": 41},
            total_rows=512 * number,
            train_rows=461 * number,
            eval_rows=51 * number,
            usage=self.usage(1300, cost),
            stand_in=self.stand_in,
            figures=DatasetFigures(
                outputs={"priority": {'"low"': 384 * number, '"normal"': 128 * number}}
            ),
        )
        write(folder, artifact_files.SYNTHESIS, record)

    def _write_training(self, folder, number):
        record = training_record(
            steps=87 * number,
            losses=(*(2.5 / (1 + step / 6) for step in range(87 * number - 1)), 0.2134),
            eval_losses=((0, 2.41), (40 * number, 0.1987), (87 * number, 0.2213)),
            best_step=40 * number,
            eval_loss_before=2.41,
            eval_loss=0.1987,
            tokens=81234 * number,
            train_rows=461 * number,
            eval_rows=51 * number,
            warm_start=f"{self.root}/model/1/Format-Serving" if number > 1 else None,
        )
        write(folder / "Format-Serving", artifact_files.TRAINING, record)


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
    from reports.run_page.page import write_results

    folder = tmp_path / "output"
    write_results(summary, summary_file=folder / "summary.json", report_file=folder / "report.html")
    return folder
