"""SynthDataGen with the real client, over HTTP, against the stand-in server."""

import json
from pathlib import Path

import pytest
from tfx.types.standard_artifacts import Examples

from components.examples_io import read_examples, write_examples
from components.service_llm.settings import ServiceLLMSettings
from components.synth_data_gen.executor import Executor
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from components.task import Task

SEEDS = [
    ("My Nimbus Cam goes black after sunset since the update.", "defect", "normal", "Nimbus Cam"),
    ("You charged me twice this month, refund it today!", "billing", "high", None),
    ("Where is the Echo Lamp I ordered? Tracking is stuck.", "shipping", "normal", "Echo Lamp"),
    ("I cannot log in any more, the reset mail never comes.", "account", "high", None),
    ("I want to send the Quill Lock back, it does not fit.", "returns", "normal", "Quill Lock"),
    ("No hurry: can the Terra Kettle hold 70 degrees?", "how_to", "low", "Terra Kettle"),
]
HOLDOUT = [
    ("Smoke rises out of the Aero Purifier in the nursery!", "defect", "high", "Aero Purifier"),
    ("Whom do I tell that the carton of the Vista Blind was wet?", "shipping", "normal",
     "Vista Blind"),
]  # fmt: skip


def coverage_rows(split, pairs):
    return [
        {
            "id": f"{split}-{number}",
            "prompt": prompt,
            "output": json.dumps({"category": c, "priority": p, "product": product}),
            "tags": "[]",
        }
        for number, (prompt, c, p, product) in enumerate(pairs)
    ]


@pytest.fixture
def coverage(tmp_path):
    artifact = Examples()
    artifact.uri = str(tmp_path / "coverage")
    rows = {"seed": coverage_rows("seed", SEEDS), "holdout": coverage_rows("holdout", HOLDOUT)}
    write_examples(artifact, rows, span=0)
    return artifact


@pytest.fixture
def faults():
    return {}


@pytest.fixture
def run(tmp_path, coverage, faults):
    from standin.server import serve

    task = Task(name="support_triage", instruction="Triage the message as one JSON object.")
    with serve(faults=faults) as server:
        llm = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-demo",
            base_url=server.url,
            requests_per_minute=100_000,
            max_concurrency=16,
            retry_seconds=0.01,
        )

        def run(round, name="", history="", **settings):
            artifact = Examples()
            artifact.uri = str(tmp_path / (name or f"round-{round}"))
            options = {"rows_per_round": 24, "quality_filter": True, "samples": 3} | settings
            properties = {
                "service_llm": llm.model_dump_json(),
                "settings": SynthSettings(**options).model_dump_json(),
                "task": task.model_dump_json(),
                "journal_uri": str(tmp_path / "journal"),
                "round": round,
                "history_uri": history,
                "report_uri": "",
                "code_version": "",
            }
            Executor().Do({"coverage": [coverage]}, {"synthetic": [artifact]}, properties)
            return artifact

        yield run


def rows_of(artifact):
    return {split: read_examples(artifact.uri, split) for split in ("train", "eval")}


def summary_of(artifact):
    return json.loads((Path(artifact.uri) / "synthesis.json").read_text(encoding="utf-8"))


def test_two_rounds_are_generated_filtered_and_added_up(run):
    first = run(1)
    second = run(2, history=first.uri)
    rows = [row for split in rows_of(second).values() for row in split]
    assert {row["round"] for row in rows} == {1, 2}
    assert len({row["prompt"] for row in rows}) == len(rows) == summary_of(second)["total_rows"]
    for row in rows:
        assert set(json.loads(row["output"])) == {"category", "priority", "product"}
    assert summary_of(second)["stand_in"] is True


def test_a_round_run_again_takes_every_reply_from_the_journal(run):
    once = run(1)
    calls = summary_of(once)["usage"]["calls"]
    again = run(1, name="again")
    assert rows_of(again) == rows_of(once)
    assert summary_of(again)["usage"]["calls"] == calls > 0


@pytest.mark.parametrize(
    "faults",
    [{"malformed": 0.3}, {"malformed": 0.2, "truncated": 0.1, "safety": 0.05, "unavailable": 0.1}],
    ids=["malformed", "everything"],
)
def test_replies_that_go_wrong_bring_no_invalid_row(run, faults):
    # The one request that a round cannot do without is left out: a refusal of it ends the run.
    attributes = {name: [f"{name} {n}" for n in range(3)] for name in AttributeSets.model_fields}
    artifact = run(1, samples=2, attributes=attributes)
    rows = [row for split in rows_of(artifact).values() for row in split]
    assert len(rows) >= 20
    for row in rows:
        output = json.loads(row["output"])
        assert set(output) == {"category", "priority", "product"}
        assert output["priority"] in {"low", "normal", "high"}
        assert row["prompt"].strip() == row["prompt"] != ""
    dropped = (Path(artifact.uri) / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    unread = [row for row in map(json.loads, dropped) if row["reason"] in {"refused", "truncated"}]
    assert bool(unread) == ("safety" in faults)
