"""Captured exchanges, and a preset whose judge is the scorer of JSON fields."""

import contextlib
import datetime
import json
import random

import pytest

from core.captured import CapturedExchange
from core.records import CoverageRow
from judging.settings import EvaluatorSettings
from service_llm.settings import ServiceLLMSettings
from serving.preset import JudgingPreset, ServedPreset
from serving.settings import ServingSettings
from task.task import Task
from tests.serving.gateway.harness import INSTRUCTION, harness

TASK = "triage"
START = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ROWS = tuple(
    CoverageRow(f"c{n}", prompt, json.dumps({"category": tag}), ("seed", "holdout")[n % 2], (tag,))
    for n, (prompt, tag) in enumerate(
        [
            ("My kettle does not boil any more", "defect"),
            ("The kettle I bought does not heat", "defect"),
            ("I was charged twice for my order", "billing"),
            ("Why was my card charged two times for one order", "billing"),
            ("Where is my parcel, it has not come", "shipping"),
            ("My parcel has not arrived yet, where is it", "shipping"),
        ]
    )
)


def loading(preset):
    """What commands load presets with, for this one."""
    return lambda names, overrides: contextlib.nullcontext([preset])


def exchange(number: int, *, prompt: str, service: str, model: str | None, **more) -> str:
    """A captured line."""
    time = START + datetime.timedelta(seconds=number)
    values = {
        "schema_version": 1,
        "id": f"e{number:05}",
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "task": TASK,
        "protocol": "gemini",
        "stream": False,
        "session": None,
        "messages": [{"role": "system", "text": INSTRUCTION}, {"role": "user", "text": prompt}],
        "service": {
            "text": service,
            "status": 200,
            "milliseconds": 800.0,
            "first_byte_milliseconds": 700.0,
            "usage": {"prompt_tokens": 400, "output_tokens": 100},
            "model_version": "gemini-x-001",
        },
        "model": model and {"text": model, "milliseconds": 90.0, "confidence": -0.1, "round": 3},
        "served_by": "service",
        "reason": "ok",
    }
    return CapturedExchange.from_json(json.dumps({**values, **more})).to_json()


def shadow_lines(count: int, wrong: float, seed: int = 1) -> list[str]:
    """Pairs of which the model answers a share otherwise than the service."""
    generator = random.Random(seed)
    lines = []
    for number in range(count):
        row = ROWS[number % len(ROWS)]
        other = json.dumps({"category": "returns"})
        model = other if generator.random() < wrong else row.output
        lines.append(
            exchange(number, prompt=f"{row.prompt}, no {number}", service=row.output, model=model)
        )
    return lines


@pytest.fixture
def preset_of(tmp_path):
    def make(
        lines=(), *, service_url="http://127.0.0.1:9", scorer="json_fields", judge=None, **settings
    ):
        folder = tmp_path / "serving" / "capture"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "2026-11-01T000000Z-00000000.jsonl").write_text("".join(f"{x}\n" for x in lines))
        service = ServiceLLMSettings(
            provider="gemini", model="gemini-2.5-flash", base_url=service_url
        )
        return ServedPreset(
            preset="triage.yaml",
            task=Task(name=TASK, instruction=INSTRUCTION),
            coverage=ROWS,
            output_dir=tmp_path,
            settings=ServingSettings(service=service, capture=True, **settings),
            judging=JudgingPreset(
                evaluator=EvaluatorSettings(gate={"scorer": scorer}),
                judge=judge or service,
                journal_uri=str(tmp_path / "journal"),
            ),
        )

    return make


@pytest.fixture
def servers():
    with harness() as made:
        yield made


@pytest.fixture
def walk(preset_of):
    from tests.serving.cutover.walking import Walk  # it writes exchanges of this module

    return Walk(preset_of())
