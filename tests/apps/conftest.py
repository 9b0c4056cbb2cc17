"""A small evaluation, a random two-layer model, and the application's modules on the path."""

import shutil
import sys
from pathlib import Path

import pytest

from core.records import VerdictRow
from tests.records import coverage_report, rate, rates, training_record

SPACE = Path(__file__).resolve().parents[2] / "apps" / "space"
SEQUENCE_LENGTH = 192
VERIFIED = {"verified": True, "largest_logit_difference": 0, "greedy_tokens": 1, "greedy_ties": 0}


@pytest.fixture(autouse=True)
def space_modules(monkeypatch):
    """The Space's modules import each other by their bare names, as they do on the Hub."""
    monkeypatch.syspath_prepend(str(SPACE))
    yield SPACE
    for name in (path.stem for path in SPACE.glob("*.py")):
        sys.modules.pop(name, None)


def _verdict(number, model="tuned", **changes):
    response = '{"category": "defect", "priority": "high"}'
    values = {
        "model": model,
        "id": f"c-{number}",
        "split": "holdout",
        "tags": ("typos",),
        "prompt": f"my cam is broken {number}",
        "output": response,
        "response": response,
        "finish": "stop",
        "sample": 0,
        "covered": True,
        "scored": True,
        "similarity": 5.0,
        "correctness": 5.0,
        "reason": "equal",
        "votes": (),
        "scores": {},
    }
    return VerdictRow(**(values | changes))


VERDICTS = [
    _verdict(1),
    _verdict(1, sample=1, response="the second sample"),
    _verdict(1, model="base", response="<script>alert(1)</script>", covered=False),
    _verdict(1, model="service", response="<u>the service</u>"),
    _verdict(
        2,
        prompt="<img src=x onerror=alert(1)>",
        response='{"category": "defect", "priority": "low"}',
        covered=False,
        reason="The priority <b>differs</b>.",
    ),
    _verdict(3, split="seed", covered=False, scored=False, similarity=None, reason=""),
]
REPORT = coverage_report(
    {
        "tuned": rates(
            rate(1, 3, 6.1, 79.2),
            rate(0, 1, 0.0, 79.3),
            rate(1, 2, 9.5, 90.5),
            typos=rate(1, 3, 6.1, 79.2),
        ),
        "base": rates(rate(0, 1, 0.0, 79.3), rate(0, 1, 0.0, 79.3), rate(0, 1, 0.0, 79.3)),
    },
    gate={"passed": False},
)


@pytest.fixture
def evaluation_dir(tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    (folder / "coverage_report.json").write_text(REPORT.to_json())
    (folder / "verdicts.jsonl").write_text("".join(f"{v.to_json()}\n" for v in VERDICTS))
    return folder


@pytest.fixture
def evaluation(evaluation_dir):
    from evaluation import read_evaluation

    return read_evaluation([evaluation_dir])


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A folder as the Trainer writes it, with a random two-layer Gemma."""
    from core.families import GEMMA
    from models.loading.tiny import make_preset

    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(make_preset(str(tmp_path_factory.mktemp("cache"))), folder / "preset")
    (folder / "generation.json").write_text(GEMMA.to_json(sequence_length=SEQUENCE_LENGTH))
    training = training_record(preset="random:gemma3-tiny", exports={"preset": VERIFIED})
    (folder / "training.json").write_text(training.to_json())
    return folder
