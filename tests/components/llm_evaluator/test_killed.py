"""Killed with SIGKILL while it asks, an evaluation pays for no reply twice and ends the same."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from service_llm.settings import ServiceLLMSettings
from standin.server import serve
from tests.evaluation import coverage_rows

ROOT = Path(__file__).resolve().parents[3]
CONCURRENCY = 4
ROWS = 12
PROGRAM = """
import json, sys
from judging.evaluate import evaluate
from judging.report import describe_judge
from judging.requests import RequestBuilder
from judging.settings import EvaluatorSettings
from core.records import ResponseRow
from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from task.task import Task

settings = ServiceLLMSettings.model_validate_json(sys.argv[1])
models = json.loads(sys.argv[3])
responses = {m: [ResponseRow.from_json(line) for line in lines] for m, lines in models.items()}
task = Task(name="support_triage", instruction="Triage the message.")
with open_service_llm(settings, journal_uri=sys.argv[2], component="LLMEvaluator", round=1) as llm:
    builder = RequestBuilder(task, EvaluatorSettings(), llm.salt())
    judge = describe_judge("gemini", "stand-in", builder.settings)
    found = evaluate(responses, llm, builder, described=judge)
    usage = llm.usage()
models = {name: rates.model_dump() for name, rates in found.findings.models.items()}
print(json.dumps({"models": models, "calls": usage.calls}))
"""


@pytest.fixture
def responses():
    """The tuned model's responses, half of them wrong, and an untuned model's."""
    wrong = json.dumps({"category": "billing", "priority": "low", "product": "Orbit Doorbell"})

    def lines(response):
        return [
            json.dumps(
                {
                    "id": row.id,
                    "prompt": row.prompt,
                    "output": row.output,
                    "split": row.split,
                    "tags": row.tags,
                    "response": response(number, row),
                    "finish": "stop",
                }
            )
            for number, row in enumerate(coverage_rows(ROWS))
        ]

    return json.dumps(
        {
            "tuned": lines(lambda number, row: row.output if number % 2 else wrong),
            "base": lines(lambda number, row: row.prompt[:40]),
        }
    )


@pytest.mark.slow
def test_killed_while_it_asks_an_evaluation_goes_on_where_it_stopped(tmp_path, responses):
    with serve(latency_seconds=0.05) as server:
        settings = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-demo",
            base_url=server.url,
            requests_per_minute=100_000,
            max_concurrency=CONCURRENCY,
        )

        def command(journal):
            return [
                sys.executable, "-c", PROGRAM, settings.model_dump_json(), str(journal), responses,
            ]  # fmt: skip

        # While the service LLM answers as the ceiling, and while it judges.
        kills = (4, ROWS + 10, ROWS + 40)
        for requests in kills:
            process = subprocess.Popen(command(tmp_path / "journal"), cwd=ROOT)
            while server.stats()["requests"] < requests:
                assert process.poll() is None, "it was over before it could be killed"
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        resumed = subprocess.run(
            command(tmp_path / "journal"), cwd=ROOT, check=True, capture_output=True, text=True
        )
        answered = server.stats()["answered"]
        unbroken = subprocess.run(
            command(tmp_path / "other"), cwd=ROOT, check=True, capture_output=True, text=True
        )
    entries = [
        json.loads(line)
        for path in (tmp_path / "journal").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").split("\n")
        if line
    ]
    assert max(Counter(entry["key"] for entry in entries).values()) == 1
    assert answered - len(entries) <= len(kills) * CONCURRENCY, (
        "only what was in flight when a kill came is asked for again"
    )
    found = json.loads(resumed.stdout)
    assert found == json.loads(unbroken.stdout), "the same rates, and every call counted once"
    assert found["calls"] == len(entries)
