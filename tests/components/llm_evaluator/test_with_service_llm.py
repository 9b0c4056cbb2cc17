"""LLMEvaluator with the real client, over HTTP, against the stand-in server."""

import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from benchmarks.evaluator_hygiene import measure, total
from components.artifacts import CoverageReport, Responses
from components.llm_evaluator.executor import Executor
from core.records import CoverageRow, ResponseRow
from judging.requests import RequestBuilder
from judging.schemas import Verdict
from judging.settings import EvaluatorSettings
from service_llm.client import open_service_llm
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from task.task import Task

TASK = Task(name="support_triage", instruction="Triage the message as one JSON object.")
MESSAGES = [
    ("My Nimbus Cam goes black after sunset since the update.", "defect", "normal", "Nimbus Cam"),
    ("You charged me twice this month, refund it today!", "billing", "high", None),
    ("Where is the Echo Lamp I ordered? Tracking is stuck.", "shipping", "normal", "Echo Lamp"),
    ("I cannot log in any more, the reset mail never comes.", "account", "high", None),
    ("I want to send the Quill Lock back, it does not fit.", "returns", "normal", "Quill Lock"),
    ("No hurry: can the Terra Kettle hold 70 degrees?", "how_to", "low", "Terra Kettle"),
]
ROWS = [
    CoverageRow(
        f"m{number}",
        message,
        json.dumps({"category": category, "priority": priority, "product": product}),
        "seed" if number % 2 else "holdout",
    )
    for number, (message, category, priority, product) in enumerate(MESSAGES)
]


@pytest.fixture
def responses(tmp_path):
    """Right for the first rows, wrong in every field for the others."""

    def make(name, right):
        artifact = Responses()
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
        wrong = json.dumps({"category": "billing", "priority": "low", "product": "Orbit Doorbell"})
        rows = [
            ResponseRow(
                row.id,
                row.prompt,
                row.output,
                row.split,
                row.tags,
                row.output if number < right else wrong,
                "stop",
            )
            for number, row in enumerate(ROWS)
        ]
        text = "".join(f"{row.to_json()}\n" for row in rows)
        Path(artifact.uri, "responses.jsonl").write_text(text, encoding="utf-8")
        return artifact

    return make


def _settings(server, provider="gemini"):
    return ServiceLLMSettings(
        provider=provider,
        model="stand-in-demo",
        base_url=server.url if provider == "gemini" else f"{server.url}/v1",
        requests_per_minute=100_000,
        max_concurrency=16,
    )


@pytest.fixture
def run(tmp_path):
    def run(server, tuned, base, round, provider="gemini", embedder="", **settings):
        report, blessing = CoverageReport(), standard_artifacts.ModelBlessing()
        report.uri = str(tmp_path / f"report{round}")
        blessing.uri = str(tmp_path / f"blessing{round}")
        Executor().Do(
            {"responses": [tuned], "base_responses": [base]},
            {"report": [report], "blessing": [blessing]},
            {
                "service_llm": _settings(server, provider).model_dump_json(),
                "embedder": embedder,
                "settings": EvaluatorSettings(**settings).model_dump_json(),
                "task": TASK.model_dump_json(),
                "journal_uri": str(tmp_path / "journal"),
                "round": round,
                "report_uri": "",
                "code_version": "",
            },
        )
        return json.loads(Path(report.uri, "coverage_report.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture(params=["default", "literal"])
def server(request):
    from standin.server import serve

    options = {} if request.param == "default" else {"judge": request.param}
    with serve(**options) as server:
        yield server


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_right_and_wrong_responses_are_told_apart_over_http(run, responses, server, provider):
    report = run(server, responses("tuned", 5), responses("base", 1), 1, provider)
    covered = {model: rates["overall"]["covered"] for model, rates in report["models"].items()}
    assert (covered["tuned"], covered["base"]) == (5, 1)
    assert report["models"]["service"]["overall"]["unscored"] == 0
    assert report["stand_in"] is True


def test_only_new_responses_are_paid_for_in_the_next_round(run, responses, server):
    base = responses("base", 1)
    first = run(server, responses("one", 4), base, 1, baselines=["base"])
    again = run(server, responses("same", 4), base, 2, baselines=["base"])
    better = run(server, responses("two", 6), base, 3, baselines=["base"])
    assert first["usage"]["calls"] == 2 * 9, "two votes on four right and five wrong responses"
    assert again["usage"]["calls"] == 0
    assert better["usage"]["calls"] == 2 * 2, "the two rows that became right"
    assert first["models"] == again["models"]


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_embeddings_decide_as_the_gate_are_counted_and_paid_for_once(
    tmp_path, run, responses, provider
):
    from standin.server import serve

    with serve() as server:
        llm = _settings(server, provider).model_dump()
        price = {"prompt_usd_per_million_tokens": 1e6, "output_usd_per_million_tokens": 0}
        embedder = EmbedderSettings(**llm | {"model": "stand-in-embedding", "price": price})
        options = {
            "provider": provider,
            "embedder": embedder.model_dump_json(),
            "baselines": [],
            "gate": {"scorer": "embedding", "split": "overall", "threshold_percent": 80},
        }
        base = responses("base", 1)
        first = run(server, responses("five", 5), base, 1, **options)
        again = run(server, responses("two", 2), base, 2, **options)
        sent = server.stats()["by_kind"]["embed"]
    outputs = {row.output for row in ROWS}
    assert sent == len(outputs) + 1, "the outputs, and the wrong response"
    scorer = first["scorers"]["embedding"]
    assert scorer["models"]["tuned"]["overall"]["covered"] == 5
    assert first["gate"]["passed"] is True
    assert again["gate"]["passed"] is False
    assert first["embedding_model"] == "stand-in-embedding"
    assert first["embedding_usage"]["calls"] == sent
    tokens = first["embedding_usage"]["prompt_tokens"]
    assert first["usage"]["cost_usd"] == first["embedding_usage"]["cost_usd"] == tokens > 0
    assert again["embedding_usage"]["calls"] == 0
    blessings = [(tmp_path / f"blessing{n}" / "BLESSED").exists() for n in (1, 2)]
    assert blessings == [True, False]
    page = (tmp_path / "report1" / "evaluation.html").read_text(encoding="utf-8")
    assert "embeddings of stand-in-embedding" in page


def test_the_ceiling_is_asked_for_in_the_first_round_only(run, responses, server):
    base = responses("base", 1)
    first = run(server, responses("one", 4), base, 1)
    asked = server.stats()["by_kind"]["answer"]
    again = run(server, responses("two", 6), base, 2)
    assert asked == len(ROWS)
    assert server.stats()["by_kind"]["answer"] == asked
    assert again["models"]["service"] == first["models"]["service"]


def test_the_judge_is_asked_to_write_the_reason_before_any_score(tmp_path, run, responses):
    from standin.server import serve

    record = tmp_path / "requests.jsonl"
    with serve(record_file=record) as server:
        run(server, responses("tuned", 5), responses("base", 1), 1, baselines=[])
    lines = record.read_text(encoding="utf-8").split("\n")
    schemas = [json.loads(line)["generationConfig"]["responseSchema"] for line in lines if line]
    wanted = ["reason", "similarity", "correctness_a", "correctness_b"]
    assert [schema["property_ordering"] for schema in schemas] == [wanted] * len(schemas)
    assert list(Verdict.model_json_schema()["properties"]) == wanted, "as OpenAI's models read it"


def test_order_padding_and_planted_orders_flip_at_most_5_of_100_verdicts(tmp_path, server):
    settings = _settings(server)
    with open_service_llm(
        settings, journal_uri=str(tmp_path / "journal"), component="hygiene", round=1
    ) as llm:
        builder = RequestBuilder(TASK, EvaluatorSettings(), llm.salt())
        flips = measure(ROWS, llm, builder)
    shares = {kind: total(named).share for kind, named in flips.items()}
    assert set(shares) == {"order", "padding", "injection"}
    assert all(share <= 0.05 for share in shares.values()), flips
    assert total(flips["injection"]).flipped == 0, flips["injection"]
