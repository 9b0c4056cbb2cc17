"""From the log of a service to training rows: `init` on 2,000 exchanges, then a round's data."""

import json
import random

import pytest

from components.synth_data_gen.one_round import RoundInputs, run_round
from components.synth_data_gen.requests import RequestBuilder
from core.records import HOLDOUT_SPLIT, SEED_SPLIT
from pipeline.cli.main import main
from pipeline.config import load_config
from pipeline.logged import logged_rows
from task.coverage.reader import read_coverage

pytestmark = pytest.mark.slow  # its filters take half a minute of two shared cores

EXCHANGES = 2000
_CITIES = ("Lima", "Oslo", "Cairo", "Quito")
_WORDS = [
    a + b
    for a in ("bra", "cle", "dro", "fli", "gru", "hano", "jupi", "kelo", "lami", "mor")
    for b in ("ber", "dine", "fen", "gart", "hill", "kan", "lode", "mint", "nor", "pus")
]


class NoService:
    """Fails where it is asked anything."""

    def map(self, requests):
        for request in requests:
            raise AssertionError(f"a request was sent: {request.prompt[:80]}")
        return iter(())


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A log as LiteLLM writes it, in sessions of four, imported by `init`."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(5)
    lines = []
    for number in range(EXCHANGES):
        city = _CITIES[number % 4]
        question = f"{city}: {' '.join(rng.choices(_WORDS, k=14))}"
        answer = json.dumps({"city": city, "urgent": number % 3 == 0})
        message = {"role": "assistant", "content": answer}
        lines.append(
            {
                "id": f"call-{number}",
                "session_id": f"s{number // 4}",
                "status": "success",
                "messages": [{"role": "user", "content": question}],
                "response": {"choices": [{"message": message, "finish_reason": "stop"}]},
                "request_tags": [city],
            }
        )
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    sampled = ["--pairs", str(log), "--sample", "60", "--train-on-rest"]
    assert main(["init", "cities", *sampled]) == 0
    return {line["messages"][0]["content"]: line["session_id"] for line in lines}


def test_2000_logged_exchanges_are_training_rows_without_one_generated_row(exported):
    config = load_config("cities.yaml", ["synth.rows_per_round=1000"], environ={})
    rows, rest = read_coverage(config.coverage_dir), logged_rows(config)
    held = {exported[row.prompt] for row in rows if row.split == HOLDOUT_SPLIT}
    assert len(rows) == 60
    assert len(rest) > EXCHANGES - 60 - 4 * 30 - 1
    assert held.isdisjoint(exported[row.prompt] for row in rest)
    seeds = [row for row in rows if row.split == SEED_SPLIT]
    builder = RequestBuilder(config.task, config.synth, b"0" * 32, seeds)
    inputs = RoundInputs(rows, logged=rest)
    found = run_round(NoService(), builder, inputs, embed=None, round=1)
    assert found.logged.read == len(rest)
    assert len(found.logged.kept) > 0.95 * len(rest)
    assert len(found.generation.kept) == found.generation.requested == 0
    outputs = {row.prompt: row.output for row in rest}
    assert all(row.output == outputs[row.prompt] for row in found.logged.kept)
