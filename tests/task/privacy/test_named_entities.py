"""Names by Presidio: what is missing is said, and with a model they are replaced."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from task.privacy import PrivacySettings, find, named_entities, redact, restore
from task.privacy import settings as settings_module

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


class ScriptedAnalyzer:
    """Finds what it was told to, as Presidio's analyzer returns it."""

    def __init__(self, **found):
        self._found = found
        self.asked = []

    def analyze(self, text, *, language, entities):
        self.asked.append((language, tuple(entities)))
        for word, kind in self._found[language]:
            for match in re.finditer(re.escape(word), text):
                yield SimpleNamespace(entity_type=kind, start=match.start(), end=match.end())


@pytest.fixture
def analyzed(monkeypatch):
    """Settings of two languages, and the analyzer that is asked in Presidio's place."""
    analyzer = ScriptedAnalyzer(
        en=[("ada@example.org", "PERSON"), ("Ada Lovelace", "PERSON")],
        nl=[("Lovelace", "LOCATION"), ("Gent", "LOCATION"), ("ADA LOVELACE", "PERSON")],
    )
    monkeypatch.setattr(named_entities, "_analyzer", lambda models: analyzer)
    monkeypatch.setattr(settings_module, "what_is_missing", lambda models: None)
    return PrivacySettings(presidio_models={"en": "one", "nl": "two"}), analyzer


def test_names_of_all_languages_are_found_and_give_way_to_surer_kinds(analyzed):
    settings, analyzer = analyzed
    text = "Ada Lovelace, ada@example.org, Gent"
    found = [(f.kind, text[f.start : f.end]) for f in find(text, settings)]
    assert found == [
        ("PERSON", "Ada Lovelace"),
        ("EMAIL", "ada@example.org"),
        ("LOCATION", "Gent"),
    ]
    assert {language for language, _ in analyzer.asked} == {"en", "nl"}
    assert {kinds for _, kinds in analyzer.asked} == {("PERSON", "LOCATION")}


def test_a_name_has_one_placeholder_in_any_case_and_comes_back(analyzed):
    settings, _ = analyzed
    redacted = redact(["ADA LOVELACE of Gent", '{"name": "Ada Lovelace"}'], settings)
    assert redacted.texts == ("[PERSON_1] of [LOCATION_1]", '{"name": "[PERSON_1]"}')
    assert restore("Dear [PERSON_1] of [LOCATION_1]", redacted.originals) == (
        "Dear ADA LOVELACE of Gent"
    )


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
