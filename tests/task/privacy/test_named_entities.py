"""Names by Presidio: what is missing is said, and with a model they are replaced."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from task.privacy import PrivacySettings, find

ROOT = Path(__file__).parents[3]
_PROGRAM = """
import json, sys
import spacy
from task.privacy import PrivacySettings, redact, restore

nlp = spacy.blank("en")
nlp.add_pipe("entity_ruler").add_patterns(
    [{"label": "PERSON", "pattern": "Ada Lovelace"}, {"label": "GPE", "pattern": "Ghent"}]
)
nlp.to_disk("model")
settings = PrivacySettings(presidio_models={"en": "model"})
redacted = redact(["Ada Lovelace of Ghent, ada@example.org", "Dear Ada Lovelace"], settings)
print(json.dumps([redacted.texts, restore(redacted.texts[1], redacted.originals)]))
"""


def test_without_presidio_names_are_not_looked_for_and_a_model_is_refused():
    assert [finding.kind for finding in find("Ada Lovelace, ada@example.org")] == ["EMAIL"]
    with pytest.raises(ValueError, match=r"Presidio is not installed: pip install"):
        PrivacySettings(presidio_models={"en": "en_core_web_sm"})


def test_a_model_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: name if name == "presidio_analyzer" else None
    )
    with pytest.raises(ValueError, match=r"python -m spacy download nl_core_news_sm"):
        PrivacySettings(presidio_models={"nl": "nl_core_news_sm"})


@pytest.mark.slow
def test_presidio_replaces_names_of_people_and_places(tmp_path):
    uv, environment = [sys.executable, "-m", "uv"], tmp_path / "environment"
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "presidio.txt"
    subprocess.run([*uv, "pip", "sync", "-q", "--python", python, lock], check=True)
    done = subprocess.run(
        [python, "-c", _PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    texts, restored = json.loads(done.stdout)
    assert texts == ["[PERSON_1] of [LOCATION_1], [EMAIL_1]", "Dear [PERSON_1]"]
    assert restored == "Dear Ada Lovelace"
