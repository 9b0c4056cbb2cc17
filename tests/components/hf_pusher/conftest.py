"""What a small round leaves behind, and a client without waiting."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils._xet import abort_xet_session

from components.hf_pusher.contents import Source
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from task.task import Task
from tests.components.hf_pusher.hub_server import running_hub
from tests.records import coverage_report, rate, rates, synthesis_record, training_record

# Xet's client opens one log in a process, when it is first used.
_logs = tempfile.TemporaryDirectory(prefix="xet-logs-")
XET_LOGS = Path(_logs.name)
os.environ["HF_XET_LOG_DEST"] = f"{XET_LOGS}/"


REPORT = coverage_report(
    {
        "tuned": rates(
            rate(7, 8, 52.9, 97.8),
            rate(4, 4, 51.0, 100.0),
            rate(3, 4, 30.1, 95.4),
            typos=rate(1, 2, 9.5, 90.5),
        ),
        "base": rates(
            rate(1, 8, 2.2, 47.1),
            rate(1, 4, 4.6, 69.9),
            rate(0, 4, 0.0, 49.0),
            typos=rate(0, 2, 0.0, 65.8),
        ),
    }
)
VERDICT = {
    "model": "tuned",
    "id": "c-1",
    "split": "holdout",
    "tags": ["typos"],
    "prompt": "my Nimbus cam is ded",
    "output": '{"category": "defect"}',
    "response": '{"category": "defect"}',
    "finish": "stop",
    "sample": 0,
    "covered": True,
    "scored": True,
    "similarity": 5.0,
    "correctness": 5.0,
    "reason": "equal",
    "votes": [],
    "scores": {},
}
SYNTHESIS = synthesis_record()
VERIFIED = {
    "verified": True,
    "largest_logit_difference": 1e-6,
    "greedy_tokens": 25,
    "greedy_ties": 0,
}
TRAINING = training_record(exports=dict.fromkeys(("adapter", "preset"), VERIFIED))
EXPORTS = {"transformers": VERIFIED}
# As SynthDataGen writes it.
DATASET_CARD = """---
pretty_name: Synthetic data for support_triage
task_categories:
- text-generation
size_categories:
- n<1K
tags:
- synthetic
- understudy
dataset_info:
  features:
  - name: id
    dtype: string
---

# Synthetic data for support_triage

4 pairs of a prompt and the desired output.
"""
GENERATION = {
    "prefix": "<start_of_turn>user\n",
    "suffix": "<end_of_turn>\n<start_of_turn>model\n",
    "stop": ["<end_of_turn>"],
    "sequence_length": 128,
}


def synthetic_row(number):
    return {
        "id": f"s-{number}",
        "prompt": f"message {number}",
        "output": '{"category": "billing"}',
        "provenance": "{}",
        "round": 1,
    }


@pytest.fixture
def task():
    return Task(name="support_triage", instruction="Sort the message.\nAnswer with JSON.")


@pytest.fixture
def model_dir(tmp_path):
    folder = tmp_path / "model" / "Format-Serving"
    (folder / "preset" / "assets" / "tokenizer").mkdir(parents=True)
    (folder / "preset" / "config.json").write_text('{"class_name": "Gemma3Backbone"}')
    (folder / "preset" / "model.weights.h5").write_bytes(b"\x00weights" * 5000)
    (folder / "preset" / "assets" / "tokenizer" / "vocabulary.spm").write_bytes(b"\x00spm")
    (folder / "adapter.lora.h5").write_bytes(b"\x00adapter" * 100)
    (folder / "training.json").write_text(TRAINING.to_json())
    (folder / "generation.json").write_text(json.dumps(GENERATION))
    return folder


@pytest.fixture
def exports_dir(tmp_path):
    folder = tmp_path / "exports"
    (folder / "transformers").mkdir(parents=True)
    (folder / "transformers" / "config.json").write_text("{}")
    (folder / "transformers" / "model.safetensors").write_bytes(b"\x00safe" * 1000)
    (folder / "exports.json").write_text(json.dumps(EXPORTS))
    return folder


@pytest.fixture
def source(task, model_dir, exports_dir):
    return Source(
        task=task,
        round=2,
        model_dir=model_dir,
        exports_dir=exports_dir,
        report=REPORT,
        verdicts=(json.dumps(VERDICT) + "\n").encode(),
        synthesis=SYNTHESIS,
        dataset_card=DATASET_CARD,
        rows={"train": [synthetic_row(n) for n in range(3)], "eval": [synthetic_row(3)]},
    )


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """No test sees the token or the login of the machine that it runs on."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def files_of():
    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read


@pytest.fixture
def hub_server(request, monkeypatch, tmp_path):
    """A Hub on loopback, and a client that never waits.

    With the parameter `xet` large files go through Xet, as the client chooses where hf_xet is
    installed; without one through LFS.
    """
    uses_xet = getattr(request, "param", "lfs") == "xet"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", not uses_xet)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_BASE_DELAY", "1ms")
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1")
    _forget_chunks(monkeypatch, tmp_path)
    with running_hub() as hub:
        hub.transfer = "xet" if uses_xet else "lfs"
        yield hub
    abort_xet_session()


@pytest.fixture
def token(monkeypatch, hub_server):
    """The Hub's token is where the client looks for it."""
    monkeypatch.setenv("HF_TOKEN", hub_server.token)


@pytest.fixture
def settings(hub_server):
    """Where the Hub is."""
    return PushSettings(endpoint=hub_server.url)


def push(settings, source):
    return push_round(settings, source, runs_on_this_machine=True)


@pytest.fixture
def forget(hub_server, monkeypatch, tmp_path):
    """Empties the Hub, and what the client remembers of it."""

    def empty():
        hub_server.forget()
        _forget_chunks(monkeypatch, tmp_path)

    return empty


def _forget_chunks(monkeypatch, tmp_path):
    # Xet's client remembers which chunks a server has; it reads its settings once in a session.
    abort_xet_session()
    monkeypatch.setenv("HF_XET_CACHE", tempfile.mkdtemp(prefix="xet", dir=tmp_path))


@pytest.fixture
def trained_from(model_dir):
    """Changes what the training record says."""

    def change(**values: Any):
        path = model_dir / "training.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change
