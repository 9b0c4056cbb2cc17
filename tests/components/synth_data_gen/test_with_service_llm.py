"""SynthDataGen with the real client, over HTTP, against the stand-in server."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tfx.types.standard_artifacts import Examples

from components.examples_io import read_examples, write_examples
from components.synth_data_gen.executor import Executor
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from core.records import CoverageRow
from pipeline.pipeline import LOCAL_BEAM_ARGS
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from standin.errors import HttpError
from standin.server import serve
from standin.service import think
from task.task import Task
from tests.evaluation import verdict

CONCURRENCY = 4

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


TASK = Task(name="support_triage", instruction="Triage the message as one JSON object.")


def properties_of(server, journal, *, round=1, history="", report="", embedder="", **settings):
    llm = ServiceLLMSettings(
        provider="gemini",
        model="stand-in-demo",
        base_url=server.url,
        requests_per_minute=100_000,
        max_concurrency=CONCURRENCY,
        retry_seconds=0.01,
    )
    options = {"rows_per_round": 24, "quality_filter": True, "samples": 3} | settings
    return {
        "service_llm": llm.model_dump_json(),
        "embedder": embedder,
        "settings": SynthSettings(**options).model_dump_json(),
        "task": TASK.model_dump_json(),
        "journal_uri": str(journal),
        "round": round,
        "history_uri": history,
        "report_uri": report,
        "code_version": "",
    }


def execute(coverage_uri, output_uri, properties):
    """SynthDataGen as a runner executes it; also called in a process of its own."""
    coverage, artifact = Examples(), Examples()
    coverage.uri, artifact.uri = coverage_uri, output_uri
    context = Executor.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS))
    Executor(context).Do({"coverage": [coverage]}, {"synthetic": [artifact]}, properties)
    return artifact


def embedder_of(server, provider):
    path = "" if provider == "gemini" else "/v1"
    return EmbedderSettings(
        provider=provider,
        model="stand-in-embedding",
        base_url=f"{server.url}{path}",
        requests_per_minute=100_000,
    ).model_dump_json()


@pytest.fixture
def faults():
    return {}


@pytest.fixture
def record(tmp_path):
    return tmp_path / "requests.jsonl"


@pytest.fixture
def server(record, faults):
    with serve(record_file=record, faults=faults) as server:
        yield server


@pytest.fixture
def run(tmp_path, coverage, server):
    # The same requests in every run of the test, and so the same faults.
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "salt").write_text("00" * 32, encoding="ascii")

    def run(round, name="", **options):
        properties = properties_of(server, tmp_path / "journal", round=round, **options)
        return execute(coverage.uri, str(tmp_path / (name or f"round-{round}")), properties)

    return run


def rows_of(artifact):
    return {split: read_examples(artifact.uri, split) for split in ("train", "eval")}


def summary_of(artifact):
    return json.loads((Path(artifact.uri) / "synthesis.json").read_text(encoding="utf-8"))


def test_two_rounds_are_generated_filtered_and_added_up(run, server):
    first = run(1)
    sent = server.stats()["requests"]
    again = run(1, name="again")
    assert server.stats()["requests"] == sent, "every reply comes from the journal"
    assert rows_of(again) == rows_of(first)
    assert summary_of(again)["usage"] == summary_of(first)["usage"]
    second = run(2, history=first.uri)
    rows = [row for split in rows_of(second).values() for row in split]
    assert {row["round"] for row in rows} == {1, 2}
    assert len({row["prompt"] for row in rows}) == len(rows) == summary_of(second)["total_rows"]
    for row in rows:
        assert set(json.loads(row["output"])) == {"category", "priority", "product"}
        generator = json.loads(row["provenance"])["generator"]
        assert generator["model"] == "stand-in-demo"
        versions = {generator["prompt_model_version"], generator["output_model_version"]}
        assert versions == {"stand-in-1"}
    assert summary_of(second)["stand_in"] is True


@pytest.mark.parametrize(
    "faults",
    [{"malformed": 0.3}, {"malformed": 0.2, "truncated": 0.1, "safety": 0.05, "unavailable": 0.1}],
    ids=["malformed", "everything"],
)
def test_replies_that_go_wrong_bring_no_invalid_row(run, faults):
    # The one request that a round cannot do without is left out: a refusal of it ends the run.
    attributes = {name: [f"{name} {n}" for n in range(3)] for name in AttributeSets.model_fields}
    artifact = run(1, samples=1, attributes=attributes)
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


@pytest.mark.unpublished
def test_a_row_that_the_service_refuses_is_set_aside_with_its_reason(run, monkeypatch):
    refused = []

    def think_but_once(ask, **options):
        thought = think(ask, **options)
        if thought.kind == "answer" and (not refused or ask.prompt in refused):
            refused.append(ask.prompt)
            raise HttpError(400, "INVALID_ARGUMENT", "The input was flagged: category 42.")
        return thought

    monkeypatch.setattr("standin.service.think", think_but_once)
    artifact = run(1, samples=1, quality_filter=False)
    dropped = (Path(artifact.uri) / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in map(json.loads, dropped) if row["reason"] == "refused"]
    assert row["prompt"] in refused[0]
    assert "400 The input was flagged: category 42." in row["output"]
    assert summary_of(artifact)["dropped"]["refused"] == 1


def failed_verdicts(folder):
    """A report in which every row failed, seeds and holdout."""
    folder.mkdir()
    rows = [
        CoverageRow(f"{split}-{number}", prompt, "{}", split)
        for split, pairs in (("seed", SEEDS), ("holdout", HOLDOUT))
        for number, (prompt, *_) in enumerate(pairs)
    ]
    text = "".join(f"{verdict(row, 'tuned', False).to_json()}\n" for row in rows)
    (folder / "verdicts.jsonl").write_text(text, encoding="utf-8")
    return str(folder)


def test_the_generator_is_never_sent_anything_of_the_holdout(run, server, record, tmp_path):
    """Every request of two aimed rounds as the server received it, quality filter and all."""
    embedder = embedder_of(server, "gemini")
    report = failed_verdicts(tmp_path / "report")
    first = run(1, embedder=embedder)
    second = run(2, history=first.uri, report=report, embedder=embedder)
    requests = [json.loads(line) for line in record.read_text(encoding="utf-8").split("\n") if line]
    # An embedding model sees it, to compare with it.
    vectors = [body for body in requests if "requests" in body]
    texts = [body["requests"][0]["content"]["parts"][0]["text"] for body in vectors]
    assert {prompt for prompt, *_ in HOLDOUT} <= set(texts)
    assert max(Counter(texts).values()) == 1, "coverage and history are in the journal"
    assert summary_of(second)["embedding_usage"]["calls"] < len(texts) / 2 + 1
    others = [json.dumps(body, ensure_ascii=False) for body in requests if body not in vectors]
    assert set(server.stats()["by_kind"]) == {"attributes", "prompts", "answer", "score", "embed"}
    assert len(others) == sum(server.stats()["by_kind"].values()) - len(vectors) > 50
    for number, (prompt, *_) in enumerate(HOLDOUT):
        for sent in others:
            assert prompt not in sent
            assert f"holdout-{number}" not in sent
            assert not windows(prompt) & windows(sent), "nor any part of it"


def windows(text, words=5):
    tokens = text.split()
    return {tuple(tokens[start : start + words]) for start in range(len(tokens) - words + 1)}


def test_with_an_embedding_model_prompts_alike_by_its_vectors_are_dropped(run, server):
    embedder = embedder_of(server, "openai")
    artifact = run(1, embedder=embedder, semantic_similarity=0.6, min_rows_fraction=0.1)
    summary = summary_of(artifact)
    assert summary["dropped"]["semantic_duplicate"] > 0
    assert summary["embedding_model"] == "stand-in-embedding"
    texts = summary["generated"] + len(SEEDS) + len(HOLDOUT)
    assert 0 < summary["embedding_usage"]["calls"] <= texts
    assert summary["usage"]["calls"] == server.stats()["answered"]
