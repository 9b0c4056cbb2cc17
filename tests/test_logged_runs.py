"""From the log of a service to a push, as a user goes: `init`, `check`, `estimate`, `run`.

The log is one of LiteLLM, in sessions of four. The service is a server on loopback that speaks
OpenAI's API; the model is the random two-layer Gemma.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

from components.examples_io import read_examples
from core.reports.loop import LoopSummary
from core.synthetic_records import SyntheticRow
from service_llm.journal.journal import Journal
from task.coverage.logged import read_logged
from task.coverage.reader import read_coverage
from tests.scripted_service import scripted, words
from tests.service_llm.conftest import ScriptedServer

ROOT = Path(__file__).resolve().parents[1]
SYSTEM = "Say which city a message is about, as JSON."
CITIES = ("Lima", "Oslo", "Cairo", "Quito")
SAMPLE = 60
# What a user adds to the preset for the smallest run: one round, and a tiny model to tune.
SETTINGS = {
    "rounds": {"max_rounds": 1},
    "training": {
        "preset": "random:gemma3-tiny",
        "dtype": "float32",
        "max_steps": 2,
        "exports": [],
    },
    "generation": {"dtype": "float32", "max_output_tokens": 4},
    "evaluator": {"votes": 1, "baselines": [], "gate": {"threshold_percent": 0}},
    "push": {"destination": "local", "push_dataset": True},
}

pytestmark = pytest.mark.slow


def exchange(number, city, answered=None):
    """A call about a city; `answered` is the one that the answer names, where it is a wrong one."""
    rng = random.Random(number)
    answer = json.dumps({"city": answered or city, "urgent": number % 3 == 0})
    message = {"role": "assistant", "content": answer}
    return {
        "id": f"call-{number}",
        "session_id": f"s{number // 4}",
        "status": "success",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"{city}: {words(rng, 14)}"},
        ],
        "response": {"choices": [{"message": message, "finish_reason": "stop"}]},
        "request_tags": [city],
    }


def is_right(prompt, output):
    """Whether an answer names the city that its message begins with, where it does."""
    city = prompt.partition(":")[0]
    return city not in CITIES or city == json.loads(output)["city"]


class Started:
    """A task made of a log, in a folder of its own."""

    def __init__(self, folder, exchanges, rows_per_round):
        self.folder = folder
        self.output = folder / "output" / "cities"
        for name in ("pipeline", ".cache"):
            (folder / name).symlink_to(ROOT / name)
        log = folder / "log.jsonl"
        log.write_text("".join(json.dumps(e) + "\n" for e in exchanges), encoding="utf-8")
        self.sessions = {e["messages"][1]["content"]: e["session_id"] for e in exchanges}
        self.said = self.command(
            *("init", "cities", "--service", "openai-compatible", "--pairs", str(log)),
            *("--sample", str(SAMPLE), "--train-on-rest"),
        )
        self.preset = folder / "cities.yaml"
        preset = yaml.safe_load(self.preset.read_text(encoding="utf-8"))
        assert preset["task"]["instruction"].strip() == SYSTEM
        assert preset["synth"] == {"train_on_rest": True}
        preset["synth"] |= {"rows_per_round": rows_per_round, "edge_case_fraction": 0}
        self._write(preset | SETTINGS)

    def _write(self, preset):
        self.preset.write_text(yaml.safe_dump(preset), encoding="utf-8")

    def command(self, *arguments):
        done = subprocess.run(
            [sys.executable, str(ROOT / "local_runner.py"), *arguments],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if k != "UNDERSTUDY_STANDIN_URL"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return " ".join(done.stdout.split())

    def run(self):
        """Run against a scripted service; return the round."""
        coverage = read_coverage(str(self.folder / "data" / "coverage" / "cities"))
        server = ScriptedServer()
        outputs = [row.output for row in coverage if row.split == "seed"]
        server.respond = scripted(outputs, is_right)
        preset = yaml.safe_load(self.preset.read_text(encoding="utf-8"))
        preset["service_llm"] |= {"base_url": f"{server.url}/v1", "requests_per_minute": 60000}
        self._write(preset)
        try:
            for name in ("check", "estimate", "run"):
                self.said += self.command(name, "--preset", "cities.yaml")
        finally:
            server.close()
        (found,) = LoopSummary.read(str(self.output / "summary.json")).rounds
        return found

    def calls(self):
        """Requests of SynthDataGen that the journal knows."""
        journal = Journal(str(self.output / "journal"))
        try:
            return journal.usage("SynthDataGen", 1).calls
        finally:
            journal.close()

    def rows(self, found):
        """All rows that the round trained or validated on."""
        return [
            SyntheticRow.from_features(row)
            for split in ("train", "eval")
            for row in read_examples(str(self.folder / found.artifacts.synthetic), split)
        ]

    def page(self):
        return (self.output / "report.html").read_text(encoding="utf-8")

    def card(self, kind):
        """The card of the `models` or `datasets` repository, as one line."""
        (card,) = self.output.glob(f"hub/{kind}/**/snapshots/*/README.md")
        return " ".join(card.read_text(encoding="utf-8").split())


def test_two_thousand_logged_exchanges_become_a_pushed_model_without_one_generated_row(tmp_path):
    exchanges = [
        exchange(number, CITIES[number % 4], None if number % 50 else CITIES[(number + 1) % 4])
        for number in range(2000)
    ]
    started = Started(tmp_path, exchanges, rows_per_round=1000)
    assert "2000 pairs read as LiteLLM logs" in started.said
    found = started.run()
    assert found.blessed
    assert found.pushed is not None

    data = found.synthesis
    # The service is asked for scores, and nothing else; it does not let wrong answers pass.
    read = read_logged(str(tmp_path / "data" / "coverage" / "cities"))
    wrong = [row for row in read if not is_right(row.prompt, row.output)]
    assert data.requested == 0
    assert 0 < data.logged.dropped["quality"] <= len(wrong)
    assert started.calls() == data.usage.calls == data.logged.kept + data.logged.dropped["quality"]
    said = re.search(r"scores them, too: at most ([\d,]+) requests", started.said)[1]
    assert data.usage.calls <= int(said.replace(",", "")) <= 1.1 * data.usage.calls
    assert data.sources == {"logged": data.logged.kept}
    # All but the sample and the sessions of its held-out rows.
    assert data.logged.read > 2000 - SAMPLE - 4 * SAMPLE / 2
    assert data.logged.kept > 0.95 * (data.logged.read - len(wrong)), data.logged.dropped
    assert found.training.train_rows == data.train_rows

    rows = started.rows(found)
    assert len(rows) == data.logged.kept
    assert all(is_right(row.prompt, row.output) for row in rows)
    assert {row.origin.scores["quality"] for row in rows} == {5.0}
    answers = {e["messages"][1]["content"]: e["response"] for e in exchanges}
    said = {p: answer["choices"][0]["message"]["content"] for p, answer in answers.items()}
    assert {row.prompt: row.output for row in rows}.items() <= said.items()
    coverage = read_coverage(str(tmp_path / "data" / "coverage" / "cities"))
    held = {started.sessions[row.prompt] for row in coverage if row.split != "seed"}
    assert held.isdisjoint(started.sessions[row.prompt] for row in rows)

    assert f"{data.logged.read:,} logged exchanges to train on" in started.said
    assert "<b>0</b> generated rows and" in started.page()
    assert "nothing was generated" in started.card("models")
    assert "# Training data for cities" in started.card("datasets")
    assert f"{len(rows)} were kept; the service LLM scored them, too." in started.card("datasets")
    (pushed,) = started.output.glob("hub/datasets/**/snapshots/*/data/train-*.parquet")
    assert pyarrow.parquet.read_table(pushed).num_rows == data.train_rows


@pytest.mark.soak
def test_what_a_log_leaves_missing_in_number_and_kind_is_generated_and_shown_apart(tmp_path):
    """No user has asked about Quito yet; pairs about it are written by hand."""
    exchanges = [exchange(number, CITIES[number % 3]) for number in range(240)]
    started = Started(tmp_path, exchanges, rows_per_round=200)
    answer = json.dumps({"city": "Quito", "urgent": False})
    texts = [f"Quito: {words(random.Random(n), 14)}" for n in range(1000, 1012)]
    pairs = [{"prompt": text, "output": answer, "tags": ["Quito"]} for text in texts]
    by_hand = tmp_path / "data" / "coverage" / "cities" / "quito.jsonl"
    by_hand.write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    found = started.run()
    data = found.synthesis
    generated = data.sources["generated"]
    assert data.sources == {"logged": data.logged.kept, "generated": generated}
    assert data.logged.kept + generated == 200
    assert data.train_rows + data.eval_rows == data.total_rows == data.logged.kept + generated
    assert started.calls() == data.usage.calls > 0

    rows = started.rows(found)
    assert Counter(row.origin.source for row in rows) == data.sources
    coverage = read_coverage(str(by_hand.parent))
    seeds = {row.id: row.tags for row in coverage if row.split == "seed"}
    like = Counter("Quito" in seeds[r.origin.like_seed] for r in rows if not r.origin.logged_id)
    assert like[True] > like[False]
    assert all(row.origin.scores["quality"] == 5 for row in rows), "of both kinds"
    assert Counter("Quito" in tags for tags in seeds.values())[True] < len(seeds) / 4
    card, page = started.card("datasets"), started.page()
    trained = f"rows ({generated} generated, {data.logged.kept} logged exchanges"
    assert trained in started.card("models")
    assert f"| `logged` | {data.logged.kept} | exchanges of real users" in card
    assert f"| `generated` | {generated} | written and answered by the service LLM" in card
    assert f"<b>{generated}</b> generated rows and <b>{data.logged.kept}</b> logged ones" in page
    index = tmp_path / found.artifacts.synthetic / "index.html"
    shown = index.read_text(encoding="utf-8")
    assert f"<b>{data.logged.read}</b> logged exchanges read" in shown
    assert "The service LLM scored them like generated rows." in shown
