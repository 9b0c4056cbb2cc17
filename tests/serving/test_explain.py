"""`serve --explain` with a preset's own task and the tokenizer of its trained model."""

import json

import pytest

from core.records import CoverageRow
from serving.gateway.explain import explain
from serving.model.unserved import unserved_task
from tests.serving.conftest import INSTRUCTION, preset_of


def request(text):
    return {
        "systemInstruction": {"parts": [{"text": INSTRUCTION}]},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
    }


@pytest.fixture
def explained(run_folder, tmp_path):
    def explained(text, folder=run_folder):
        file = tmp_path / "requests.jsonl"
        file.write_text(json.dumps(request(text)))
        return explain(file, [unserved_task(preset_of(folder))])[0]

    return explained


def test_a_prompt_within_the_models_context_is_of_the_task(explained):
    assert explained("my order does not work").task == "tiny_triage"


def test_a_longer_prompt_is_told_by_the_trained_tokenizer(explained):
    found = explained("my order " * 400)
    assert (found.task, found.reason) == ("", "too_long")
    assert "464 fit" in found.text  # of the context of 512, 48 are the answer's


def test_without_a_run_requests_are_explained_as_well(explained, tmp_path):
    assert explained("my order " * 400, tmp_path / "nothing").task == "tiny_triage"


def test_turns_that_the_model_has_learned_are_of_the_task(tmp_path):
    turns = [("user", "my order"), ("assistant", "Which one?"), ("user", "the last")]
    body = request("") | {
        "contents": [
            {"role": "user" if role == "user" else "model", "parts": [{"text": text}]}
            for role, text in turns
        ]
    }
    file = tmp_path / "requests.jsonl"
    file.write_text(json.dumps(body))
    preset = preset_of(tmp_path)
    assert explain(file, [unserved_task(preset)])[0].task == ""
    prompt = json.dumps([{"role": role, "content": text} for role, text in turns])
    learned = (*preset.coverage, CoverageRow("turns", prompt, "{}", "seed"))
    preset = preset.model_copy(update={"coverage": learned})
    assert explain(file, [unserved_task(preset)])[0].task == "tiny_triage"
