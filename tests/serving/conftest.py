import functools
import hashlib
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from core.records import CoverageRow
from core.reports.loop import LoopSummary
from service_llm.settings import ServiceLLMSettings
from serving.preset import ServedPreset
from serving.settings import ServingSettings
from task.task import Task
from tests.serving.pairs import PAIRS

ROOT = Path(__file__).parents[2]
SOURCES = (
    "core/reports/loop.py",
    "models/loading/tiny.py",
    "tests/records.py",
    "tests/serving/pairs.py",
    "tests/serving/tiny_run.py",
)
INSTRUCTION = "Triage a message to the support of Lumo Home: category and priority, as JSON."


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once():
    """Every client that a test makes would read the system's again, which takes longest of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def trained_run():
    """The folder of a tiny run, trained once for all tests of this content."""
    content = b"".join((ROOT / source).read_bytes() for source in SOURCES)
    folder = ROOT / ".cache" / "tests" / f"run-{hashlib.sha256(content).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "summary.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "tests.serving.tiny_run", str(folder), "--gguf"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture
def run_folder(trained_run, tmp_path):
    """A copy of the tiny run, which a test may change."""
    folder = tmp_path / "output"
    shutil.copytree(trained_run, folder, ignore=shutil.ignore_patterns("cache"))
    summary = folder / "summary.json"
    text = summary.read_text()
    for name in (trained_run, trained_run.resolve()):
        text = text.replace(str(name), str(folder))
    assert trained_run.name not in text, "the test would change the run that all tests share"
    summary.write_text(text)
    return folder


def preset_of(folder, service_url="http://127.0.0.1:9", **serving):
    """The preset of a tiny run."""
    service = ServiceLLMSettings(provider="gemini", model="gemini-x", base_url=service_url)
    return ServedPreset(
        preset="tiny",
        task=Task(name="tiny_triage", instruction=INSTRUCTION),
        coverage=tuple(
            CoverageRow(f"p{i}", prompt, output, ("seed", "holdout")[i % 2])
            for i, (prompt, output) in enumerate(PAIRS)
        ),
        output_dir=folder,
        settings=ServingSettings(service=service, **serving),
    )


def add_round(folder, number, *, blessed=True):
    """Adds a round to a run, a copy of its first one's entry."""
    file = folder / "summary.json"
    summary = LoopSummary.read(str(file))
    first = summary.rounds[0]
    gate = first.report.gate.model_copy(update={"passed": blessed})
    report = first.report.model_copy(update={"gate": gate})
    added = first.model_copy(update={"round": number, "report": report})
    file.write_text(summary.model_copy(update={"rounds": (first, added)}).to_json())
