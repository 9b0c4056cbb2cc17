"""A small evaluation, a random two-layer model, and the application's modules on the path."""

import json
import sys
from pathlib import Path

import pytest

SPACE = Path(__file__).resolve().parents[2] / "apps" / "space"
SEQUENCE_LENGTH = 192
VERIFIED = {"verified": True, "largest_logit_difference": 0, "greedy_tokens": 1, "greedy_ties": 0}


@pytest.fixture(autouse=True)
def space_modules(monkeypatch):
    """The Space's modules import each other by their bare names, as they do on the Hub."""
    monkeypatch.syspath_prepend(str(SPACE))
    yield SPACE
    for name in ("answering", "evaluation", "page", "app"):
        sys.modules.pop(name, None)


def _rates(covered, total, low, high):
    return {
        "covered": covered,
        "total": total,
        "unscored": 0,
        "rate_percent": 100 * covered / total,
        "low_percent": low,
        "high_percent": high,
    }


def _verdict(number, model="tuned", **changes):
    return {
        "model": model,
        "id": f"c-{number}",
        "split": "holdout",
        "tags": ["typos"],
        "prompt": f"my cam is broken {number}",
        "output": '{"category": "defect", "priority": "high"}',
        "response": '{"category": "defect", "priority": "high"}',
        "finish": "stop",
        "sample": 0,
        "covered": True,
        "scored": True,
        "similarity": 5.0,
        "precision": 5.0,
        "reason": "equal",
        "votes": [],
        **changes,
    }


VERDICTS = [
    _verdict(1),
    _verdict(1, sample=1, response="the second sample"),
    _verdict(1, model="base", response="<script>alert(1)</script>", covered=False),
    _verdict(
        2,
        prompt="<img src=x onerror=alert(1)>",
        response='{"category": "defect", "priority": "low"}',
        covered=False,
        reason="The priority <b>differs</b>.",
    ),
    _verdict(3, split="seed", covered=False, scored=False, similarity=None, reason=None),
]
REPORT = {
    "round": 2,
    "gate": {"split": "holdout", "threshold_percent": 70.0, "value_percent": 50.0, "passed": False},
    "models": {
        "tuned": {
            "overall": _rates(1, 3, 6.1, 79.2),
            "holdout": _rates(1, 2, 9.5, 90.5),
            "seed": _rates(0, 1, 0.0, 79.3),
            "tags": {"typos": _rates(1, 3, 6.1, 79.2)},
        },
        "base": {"overall": _rates(0, 1, 0.0, 79.3), "holdout": _rates(0, 1, 0.0, 79.3)},
    },
    "judge": {"provider": "gemini", "model": "stand-in-1"},
    "stand_in": True,
}


@pytest.fixture
def evaluation_dir(tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    (folder / "coverage_report.json").write_text(json.dumps(REPORT))
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(v) + "\n" for v in VERDICTS))
    return folder


@pytest.fixture
def evaluation(evaluation_dir):
    from evaluation import read_evaluation

    return read_evaluation([evaluation_dir])


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A folder as the Trainer writes it, with a random two-layer Gemma."""
    from models.features import GEMMA
    from models.tiny import make_preset

    folder = tmp_path_factory.mktemp("model")
    (folder / "preset").symlink_to(make_preset(str(tmp_path_factory.mktemp("cache"))))
    (folder / "generation.json").write_text(GEMMA.to_json(sequence_length=SEQUENCE_LENGTH))
    training = {"preset": "random:gemma3-tiny", "exports": {"preset": VERIFIED}}
    (folder / "training.json").write_text(json.dumps(training))
    return folder
