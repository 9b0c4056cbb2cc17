"""The example of conversations, whole: one round of `support-chat` with a scripted service.

The service is a server on loopback that speaks OpenAI's API and answers by the schema that is asked
for; the model is the random two-layer Gemma.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import tensorflow as tf

from core.conversation import chat_messages, user_turns
from core.families import GEMMA
from core.records import ResponseRow
from core.reports.loop import LoopSummary
from core.synthetic_records import Dropped
from tests.service_llm.conftest import ScriptedServer, openai_reply

ROOT = Path(__file__).resolve().parents[1]
COVERAGE = ROOT / "data" / "coverage" / "support_chat" / "chats.jsonl"
SETTINGS = (
    "service_llm.provider=openai",
    "service_llm.model=scripted",
    "service_llm.api_key_env=null",
    "service_llm.thinking=null",
    "service_llm.requests_per_minute=60000",
    "service_llm.price={prompt_usd_per_million_tokens: 1, output_usd_per_million_tokens: 1}",
    "rounds.max_rounds=1",
    "synth.rows_per_round=12",
    "synth.prompts_per_request=4",
    "synth.edge_case_fraction=0",
    "training.preset=random:gemma3-tiny",
    "training.dtype=float32",
    "training.sequence_length=2048",
    "training.max_steps=2",
    "training.exports=[transformers, saved_model, gguf]",
    "generation.dtype=float32",
    "generation.max_output_tokens=8",
    "evaluator.votes=1",
    "evaluator.gate.threshold_percent=0",
    "push.destination=local",
)
_SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "zu", "pa", "do")
pytestmark = pytest.mark.slow


def words(rng, count):
    """Words of no language, so that no two texts are alike."""
    return " ".join("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(count))


def scripted(body, number):
    """Reply to the schema of a request."""
    rng = random.Random(number)
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    if "persona" in properties:
        value = {name: [f"{name} {n}" for n in range(3)] for name in properties}
    elif "conversations" in properties:
        text = body["messages"][-1]["content"]
        wanted = int(re.search(r"All (\d+) conversations", text)[1])
        roles = ["user", "assistant", "user"]
        value = {
            "conversations": [
                {"number": n, "turns": [{"role": role, "text": words(rng, 9)} for role in roles]}
                for n in range(1, wanted + 1)
            ]
        }
        # One reply does not hold to the rules: it ends with the assistant.
        if number % 3 == 0:
            value["conversations"][0]["turns"].pop()
    elif "own_output" in properties:
        text = body["messages"][-1]["content"]
        own = re.search(r"<output (\w+)>\n(.*?)\n</output \1>", text, re.DOTALL)[2]
        value = {"own_output": own, "difference": "none", "reason": "Right.", "score": 5}
    elif "output" in properties:
        value = {"output": f"Velofern says: {words(rng, 6)}."}
    else:
        scores = {name: 4 for name in properties if name != "reason"}
        value = {"reason": "It says the same.", **scores}
    return openai_reply(json.dumps(value))


@pytest.fixture(scope="module")
def service():
    server = ScriptedServer()
    server.respond = scripted
    yield server
    server.close()


@pytest.fixture(scope="module")
def output(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat") / "output"
    values = [f"output_dir={folder}", f"service_llm.base_url={service.url}/v1", *SETTINGS]
    pairs = [part for value in values for part in ("--set", value)]
    done = subprocess.run(
        [sys.executable, "local_runner.py", "run", "--preset", "support-chat", *pairs],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def entry(output):
    summary = LoopSummary.read(str(output / "summary.json"))
    [entry] = summary.rounds
    assert not summary.stand_in
    return entry


def references():
    """The conversations of the coverage dataset without their shared system message."""
    rows = map(json.loads, COVERAGE.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["messages"][1:] for row in rows}


def test_the_service_wrote_conversations_and_malformed_ones_were_dropped(entry):
    synthetic = Path(ROOT, entry.artifacts.synthetic)
    dropped = (synthetic / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {(row.reason, row.detail) for row in map(Dropped.from_json, dropped)}
    assert {reason for reason, _ in reasons} == {"form"}
    assert entry.synthesis.kept == 12
    assert "propose_conversations" in entry.synthesis.generator.prompt_versions
    assert "propose_prompts" not in entry.synthesis.generator.prompt_versions
    page = (synthetic / "index.html").read_text(encoding="utf-8")
    assert "User: " in page
    assert "&#34;role&#34;" not in page


def test_the_loss_is_on_the_last_turn_alone(entry):
    transformed = Path(ROOT, entry.artifacts.model).parents[2] / "Transform"
    files = sorted(map(str, transformed.glob("transformed_examples/*/Split-train/*")))
    assert files
    features = {
        name: tf.io.FixedLenFeature([], tf.string) for name in ("prompt_text", "response_text")
    }
    for record in tf.data.TFRecordDataset(files, "GZIP"):
        row = tf.io.parse_single_example(record, features)
        prompt, response = (row[name].numpy().decode() for name in features)
        assert prompt.count(GEMMA.prefix) == 2
        assert prompt.count(f"{GEMMA.end}\n{GEMMA.prefix}") == 1, "an earlier answer ends its turn"
        assert prompt.endswith(GEMMA.suffix)
        assert response.startswith("Velofern says: ")
        assert response.count(GEMMA.end) == 1


def test_every_model_was_asked_the_whole_conversation(entry, output, service):
    found = list(output.glob("**/ResponseGen/responses/*/responses.jsonl"))
    rows = [
        ResponseRow.from_json(line) for line in found[0].read_text(encoding="utf-8").splitlines()
    ]
    assert {row.id: chat_messages(row.prompt) for row in rows} == references()
    assert set(entry.report.models) == {"tuned", "base", "few_shot", "service"}
    judged = [p for p in service.prompts if p.startswith("Compare two answers")]
    assert any('{"role": "assistant", "content": "' in prompt for prompt in judged)
    answered = [
        p for p in service.prompts if p.startswith("Do the task in <task> for the conversation")
    ]
    assert len(answered) == 12 + 50


def test_it_is_exported_and_shown(entry, output):
    assert entry.blessed
    report = (output / "report.html").read_text(encoding="utf-8")
    assert "Assistant: " in report
    assert "&#34;role&#34;: &#34;assistant" not in report
    [exports] = output.glob("**/Exporter/exports/*/exports.json")
    assert set(json.loads(exports.read_text())) == {"transformers", "saved_model", "gguf"}
    [data] = output.glob("hub/datasets/**/snapshots/*/data/train-*.parquet")
    prompts = pyarrow.parquet.read_table(data)["prompt"].to_pylist()
    assert {user_turns(prompt) for prompt in prompts} == {2}
    [card] = output.glob("hub/datasets/**/snapshots/*/README.md")
    assert "several turns as the JSON list of their messages" in card.read_text(encoding="utf-8")
    [modelfile] = output.glob("hub/models/**/snapshots/*/gguf/Modelfile")
    assert "{{ range .Messages }}" in modelfile.read_text(encoding="utf-8")
