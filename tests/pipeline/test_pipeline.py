"""The DAG: what a configuration adds to it, and what its cache can see."""

import json

import pytest
from tfx.utils import dependency_utils

from judging.labels import write_labels
from judging.requests import JudgedResponse
from pipeline.config import load_config
from pipeline.pipeline import LOCAL_BEAM_ARGS
from tests.pipeline.round_nodes import pipeline_nodes


@pytest.fixture
def nodes():
    """Makes the nodes of a round's pipeline by their ids."""

    def make(*overrides):
        return pipeline_nodes(load_config("smoke", overrides, environ={}))

    return make


def test_the_judge_may_be_another_service_llm(nodes):
    made = nodes("judge={provider: openai, model: other, base_url: http://127.0.0.1:1/v1}")
    asked = {}
    for name in ("SynthDataGen", "LLMEvaluator"):
        properties = made[name].exec_properties
        texts = [properties["service_llm"], properties["judge_llm"]]
        asked[name] = [json.loads(text)["model"] for text in texts if text]
    service = nodes()["LLMEvaluator"].exec_properties
    own = json.loads(service["service_llm"])["model"]
    assert asked == {"SynthDataGen": [own], "LLMEvaluator": [own, "other"]}
    assert service["judge_llm"] == ""


def test_every_baseline_is_judged_beside_the_tuned_model(nodes):
    found = nodes()
    inputs = found["LLMEvaluator"].inputs
    producers = {key: channel.producer_component_id for key, channel in inputs.items()}
    assert producers == {
        "responses": "ResponseGen",
        "base_responses": "BaseResponseGen",
        "few_shot_responses": "FewShotResponseGen",
    }
    for node_id in ("BaseResponseGen", "FewShotResponseGen"):
        assert "SynthDataGen" in {node.id for node in found[node_id].upstream_nodes}


def test_one_embedding_model_serves_generation_and_evaluation(nodes):
    embedder = "embedder={provider: gemini, model: stand-in-embedding, vertex_project: p}"
    found = nodes(embedder, "evaluator.gate.scorer=embedding")
    config = load_config("smoke", [embedder], environ={})
    for node_id in ("SynthDataGen", "LLMEvaluator"):
        assert found[node_id].exec_properties["embedder"] == config.embedder.model_dump_json()
        assert nodes()[node_id].exec_properties["embedder"] == ""


def test_the_pushed_application_knows_what_is_redacted(nodes):
    redacted = nodes("privacy.redact=true")
    privacy = load_config("smoke", ["privacy.redact=true"], environ={}).privacy
    for node_id in ("CoverageExampleGen", "HFPusher"):
        assert redacted[node_id].exec_properties["privacy"] == privacy.model_dump_json()


def test_only_the_few_shot_baseline_sees_examples_and_instruction(nodes):
    found = nodes("evaluator.baseline_examples=3")
    settings = {
        node_id: found[node_id].exec_properties["settings"]
        for node_id in ("ResponseGen", "BaseResponseGen", "FewShotResponseGen")
    }
    config = load_config("smoke", ["evaluator.baseline_examples=3"], environ={})
    assert settings["ResponseGen"] == settings["BaseResponseGen"]
    assert settings["ResponseGen"] == config.generation.model_dump_json()
    assert config.generation.few_shot == 0
    assert settings["FewShotResponseGen"] == config.few_shot_generation.model_dump_json()
    assert config.few_shot_generation.few_shot == 3
    assert config.task.instruction.startswith(config.few_shot_generation.instruction[:40])


@pytest.mark.parametrize(
    ("baselines", "missing"),
    [
        ("[base]", {"FewShotResponseGen"}),
        ("[few_shot, service]", {"BaseResponseGen"}),
        ("[]", {"BaseResponseGen", "FewShotResponseGen"}),
    ],
)
def test_a_baseline_that_is_not_wanted_is_not_generated(nodes, baselines, missing):
    assert set(nodes()) - set(nodes(f"evaluator.baselines={baselines}")) == missing


def test_the_cache_notices_that_labels_were_added_to_the_same_file(nodes, tmp_path):
    file = tmp_path / "labels.csv"

    def version(label):
        text = write_labels([JudgedResponse("p", "o", "r")]).replace("p,o,r,", f"p,o,r,{label}")
        file.write_text(text, encoding="utf-8")
        found = nodes(f"evaluator.labels_uri={file}")
        return found["LLMEvaluator"].exec_properties["labels_version"]

    assert nodes()["LLMEvaluator"].exec_properties["labels_version"] == ""
    first, same, other = version("yes"), version("yes"), version("no")
    assert first == same != other


def test_tfx_does_not_pack_itself_for_workers_on_this_machine(monkeypatch):
    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", pytest.fail)
    arguments = list(LOCAL_BEAM_ARGS)
    assert dependency_utils.make_beam_dependency_flags(arguments) == arguments
