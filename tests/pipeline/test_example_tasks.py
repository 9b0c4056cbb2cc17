"""The examples beside the demo: their pairs are valid, balanced, and fit their presets."""

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from core.conversation import transcript, user_turns
from pipeline.check import check_task
from pipeline.config import load_config
from task.coverage.reader import read_coverage

ROOT = Path(__file__).parents[2]
EXAMPLES = ("invoices", "email-summary", "support-chat")


@pytest.mark.parametrize("preset", EXAMPLES)
def test_an_example_passes_the_check(preset, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")
    monkeypatch.chdir(ROOT)
    config = load_config(preset, environ={})
    rows = read_coverage(config.coverage_dir)
    assert Counter(row.split for row in rows) == {"seed": 25, "holdout": 25}
    assert "50 pairs" in check_task(config)


@pytest.mark.parametrize("preset", EXAMPLES)
def test_pairs_of_an_example_fit_its_lengths(preset, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config(preset, environ={})
    characters_per_token = 2.5  # fewer than any text here has, so the bound is on the safe side
    for row in read_coverage(config.coverage_dir):
        assert len(row.output) / characters_per_token <= config.generation.max_output_tokens, row.id


def test_every_invoice_is_of_the_schema_and_adds_up():
    folder = ROOT / "data" / "coverage" / "invoices"
    of_rows = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    of_outputs = json.loads((folder / "output_schema.json").read_text(encoding="utf-8"))
    for line in (folder / "invoices.jsonl").read_text(encoding="utf-8").splitlines():
        jsonschema.validate(json.loads(line), of_rows)
    for row in read_coverage(str(folder)):
        output = json.loads(row.output)
        jsonschema.validate(output, of_outputs)
        lines = sum(line["amount"] for line in output["line_items"])
        sums = {output["total"], output["net_total"]} - {None}
        assert any(abs(lines - total) < 0.02 for total in sums), row.id


def test_the_conversations_share_the_system_message_that_is_the_instruction(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config("support-chat", environ={})
    lines = (ROOT / config.coverage_dir / "chats.jsonl").read_text(encoding="utf-8").splitlines()
    systems = {json.loads(line)["messages"][0]["content"] for line in lines}
    assert systems == {config.task.instruction.strip()}
    rows = read_coverage(config.coverage_dir)
    assert {user_turns(row.prompt) for row in rows} == {2, 3, 4}
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")
    assert "50 pairs are conversations; the longest has 4 turns" in check_task(config)
    longest = max(len(transcript(row.prompt)) + len(row.output) for row in rows)
    assert longest / 2.5 <= config.training.sequence_length
