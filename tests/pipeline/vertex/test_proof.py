"""The compiled job does what LocalDagRunner does: the proof that costs nothing."""

import base64
import json
from pathlib import Path

import pytest

from components.examples_io import read_examples
from models.training.checkpoints import TrainingCheckpoints
from pipeline.config import RoundsSettings
from pipeline.local.output_dir import OutputPaths
from pipeline.local.run import LocalRounds
from pipeline.rounds import run_rounds
from pipeline.vertex.compile import compile_job
from pipeline.vertex.run import round_result
from standin.server import serve
from tests.html_page import embedded_rows
from tests.pipeline.vertex.conftest import BUCKET, vertex_config
from tests.pipeline.vertex.local_vertex import LocalVertex, Preempted

REPOSITORY = Path(__file__).parents[3]
ROUNDS = RoundsSettings(max_rounds=2, warm_start="best")
# Of the first round: no model is blessed, so that there is a second one. There, every model is.
NEVER = {"threshold_percent": 100.0}
ALWAYS = {"threshold_percent": 0.0}
FROM_THE_CACHE = {"CoverageExampleGen", "SchemaGen", "BaseResponseGen", "FewShotResponseGen"}


@pytest.fixture(scope="module", autouse=True)
def _environment():
    with serve() as server, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("UNDERSTUDY_STANDIN_URL", server.url)
        monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("proof")


@pytest.fixture(scope="module")
def service(folder):
    return _service(folder)


@pytest.fixture(scope="module")
def cloud(service, folder):
    """Two rounds of the compiled job."""
    return _on_vertex(service, folder)


def _config(threshold, folder, *overrides):
    return vertex_config(
        "smoke",
        f"vertex.repository_dir={REPOSITORY}",
        f"output_dir={folder / 'output'}",
        f"evaluator.gate.threshold_percent={threshold['threshold_percent']}",
        "training.checkpoint_steps=2",
        *overrides,
    )


def _service(folder, *overrides):
    job = compile_job(_config(NEVER, folder, *overrides))
    return LocalVertex(job, BUCKET, folder / "bucket")


def _with_salt(folder):
    # What the stand-in is asked, and so what it answers, depends on the journal's salt.
    folder.mkdir(parents=True)
    (folder / "salt").write_bytes(base64.b16encode(bytes(32)))


def _on_vertex(service, folder):
    _with_salt(folder / "bucket" / "journal")
    always = _config(ALWAYS, folder).evaluator.model_dump_json()

    def submit(round, history_uri, report_uri, warm_start_uri):
        parameters = {
            "round": round,
            "history_uri": history_uri,
            "report_uri": report_uri,
            "warm_start_uri": warm_start_uri,
        }
        if round == 2:
            parameters["evaluator"] = always  # as one changes it in the console, for one run
        details = service.run(f"round-{round}", parameters)
        return round_result(details, round, f"round-{round}", lambda uri: Path(uri).read_bytes())

    return run_rounds(submit, ROUNDS)


def _on_this_machine(folder):
    """The same two rounds with LocalDagRunner."""
    paths = OutputPaths(folder / "local")
    _with_salt(paths.journal)
    runners = {
        1: LocalRounds(_config(NEVER, folder), paths),
        2: LocalRounds(_config(ALWAYS, folder), paths),
    }

    def submit(round, *uris):
        return runners[round].submit(round, *uris)

    return run_rounds(submit, ROUNDS)


def _started_from(result):
    facts = json.loads((Path(result.model_uri) / "Format-Serving" / "training.json").read_text())
    return facts["warm_start"]


def _report(result):
    report = json.loads((Path(result.report_uri) / "coverage_report.json").read_text())
    verdicts = (Path(result.report_uri) / "verdicts.jsonl").read_text().splitlines()
    return report["models"], report["gate"], [json.loads(line) for line in verdicts]


def _training(outputs):
    file = Path(outputs["model"]["uri"]) / "Format-Serving" / "training.json"
    return json.loads(file.read_text())


def _answers(outputs):
    return (Path(outputs["responses"]["uri"]) / "responses.jsonl").read_text()


@pytest.mark.slow
def test_two_rounds_of_the_compiled_job_give_what_two_local_rounds_give(cloud, service, folder):
    local = _on_this_machine(folder)
    assert cloud.stop_reason == local.stop_reason
    assert [r.blessed for r in cloud.rounds] == [r.blessed for r in local.rounds] == [False, True]
    for there, here in zip(cloud.rounds, local.rounds, strict=True):
        for split in ("train", "eval"):
            rows = read_examples(there.synthetic_uri, split)
            assert rows == read_examples(here.synthetic_uri, split)
            assert rows, f"no {split} rows in round {there.round}"
        assert there.coverage_rate == here.coverage_rate
        assert there.cost_usd == here.cost_usd
        assert _report(there) == _report(here)
        assert set(_report(there)[0]) == {"tuned", "base", "few_shot", "service"}
        page = (Path(there.report_uri) / "evaluation.html").read_text(encoding="utf-8")
        assert len(embedded_rows(page)) == 10, "every coverage prompt"
    for loop in (cloud, local):
        first, second = loop.rounds
        assert _started_from(first) is None
        assert _started_from(second) == f"{first.model_uri}/Format-Serving"
    first, second = (len(read_examples(r.synthetic_uri, "train")) for r in cloud.rounds)
    assert second > first, "the second round adds to the first one's rows"
    pushed = json.loads((Path(cloud.rounds[1].pushed_uri) / "pushed.json").read_text())
    assert pushed["tag"].startswith("round-2-")
    assert set(service.executed["round-1"]) - set(service.executed["round-2"]) == FROM_THE_CACHE


@pytest.mark.slow
def test_on_a_spot_machine_an_interrupted_training_goes_on_to_the_same_model(
    cloud, service, folder, monkeypatch
):
    save, saved = TrainingCheckpoints.save, []

    def save_and_lose_the_machine(self, checkpoint):
        save(self, checkpoint)
        saved.append(checkpoint)
        if len(saved) == 1:
            raise Preempted

    monkeypatch.setattr(TrainingCheckpoints, "save", save_and_lose_the_machine)
    spot = _service(folder, "vertex.spot_machine_type=n1-standard-8")
    outputs = service.outputs["round-2"]
    parameters = {"warm_start_uri": cloud.rounds[0].model_uri}
    trained = spot.run_task("Trainer", "spot", parameters, outputs)
    answered = spot.run_task("ResponseGen", "spot", parameters, {**outputs, "Trainer": trained})
    assert [job.job_spec.scheduling.strategy.name for job in spot.custom_jobs] == ["SPOT"] * 2
    resumed, whole = _training(trained), _training(outputs["Trainer"])
    assert (resumed["resumed_at"], whole["resumed_at"]) == (2, None)
    assert resumed["eval_loss"] == whole["eval_loss"]
    assert resumed["warm_start"] == whole["warm_start"]
    assert _answers(answered) == _answers(outputs["ResponseGen"])
