"""Loading and streaming, with a random two-layer Gemma and KerasHub's own generate as reference."""

import pytest

PROMPT = "my cam is broken"


@pytest.fixture
def answerer(model_dir):
    from answering import Answerer

    answerer = Answerer(str(model_dir))
    answerer.start()
    return answerer


def test_the_streamed_response_is_what_generate_gives(answerer, model_dir):
    import keras_hub

    parts = list(answerer.stream(PROMPT))
    model = keras_hub.models.CausalLM.from_preset(str(model_dir / "preset"))
    model.compile(sampler="greedy")
    turn = f"<start_of_turn>user\n{PROMPT}<end_of_turn>\n<start_of_turn>model\n"
    whole = model.generate(turn, max_length=192, strip_prompt=True)
    assert parts[-1] == whole.split("<end_of_turn>")[0]
    assert len(parts) > 2, "it streams"
    assert all(parts[-1].startswith(part) for part in parts)
    assert list(answerer.stream(PROMPT))[-1] == parts[-1], "no token is left from the first"


def test_a_visitor_who_leaves_does_not_disturb_the_next_one(answerer):
    whole = list(answerer.stream(PROMPT))[-1]
    left = answerer.stream("another message")
    next(left)
    left.close()
    parts = list(answerer.stream(PROMPT))
    assert parts[-1] == whole
    assert all(whole.startswith(part) for part in parts)


@pytest.mark.parametrize("family", ["gemma2-tiny", "llama3-tiny"])
def test_a_response_ends_where_the_turn_does_in_every_family(family, tmp_path):
    from answering import Answerer

    from core.families import chat_template_for
    from models.loading.load import resolve_preset
    from tests.models.tuning import PAIRS, tune

    template = chat_template_for(family)
    preset = resolve_preset(f"random:{family}", str(tmp_path / "cache"))
    tuned = tune(preset, template=template, epochs=60, method="full", learning_rate=3e-3)
    tuned.model.save_to_preset(str(tmp_path / "preset"))
    (tmp_path / "generation.json").write_text(template.to_json(sequence_length=192))
    answerer = Answerer(str(tmp_path))
    answerer.start()
    (prompt, output) = PAIRS[0]
    parts = list(answerer.stream(prompt))
    assert parts[-1] == output
    assert all(output.startswith(part) for part in parts), parts


def test_a_message_that_leaves_no_room_is_refused_with_the_reason(answerer):
    from answering import NoModelError

    with pytest.raises(NoModelError, match=r"too long for the model by \d+ tokens"):
        list(answerer.stream("zq" * 200))
    assert list(answerer.stream(PROMPT)), "and the next one is answered"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/model", "no model at /nowhere/model. Run the pipeline first"),
        ("{empty}", "contains no generation.json"),
        ("{no_preset}", "contains no KerasHub preset"),
    ],
    ids=["no-folder", "empty-folder", "no-preset"],
)
def test_a_missing_model_is_told(tmp_path, model_dir, model, message):
    from answering import Answerer, NoModelError

    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "generation.json").write_bytes(
        (model_dir / "generation.json").read_bytes()
    )
    folder = model.format(empty=tmp_path / "empty", no_preset=tmp_path / "half")
    answerer = Answerer(folder)
    answerer.start()
    with pytest.raises(NoModelError, match=message):
        list(answerer.stream(PROMPT))
    assert message in answerer.error
    assert not answerer.is_ready


def test_a_hidden_model_on_the_hub_asks_for_the_token(monkeypatch):
    from answering import Answerer, NoModelError

    from tests.components.hf_pusher.hub_server import running_hub

    with running_hub() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        answerer = Answerer("me/hidden", "round-1")
        answerer.start()
        with pytest.raises(NoModelError, match=r"private.*secret HF_TOKEN"):
            list(answerer.stream(PROMPT))


def test_only_what_is_served_is_downloaded(model_dir, monkeypatch, tmp_path):
    from answering import _fetch

    from tests.components.hf_pusher.hub_server import download_from, running_hub
    from tests.components.hf_pusher.hub_state import Repository

    preset = {
        path.relative_to(model_dir / "preset").as_posix(): path.read_bytes()
        for path in (model_dir / "preset").rglob("*")
        if path.is_file()
    }
    served = {**preset, "generation.json": (model_dir / "generation.json").read_bytes()}
    sharded = {"model.weights.json": b"{}", "model_00000.weights.h5": b"x"}
    others = (
        "README.md NOTICE training.json adapter.lora.h5 evaluation/verdicts.jsonl gguf/model.gguf "
        "transformers/config.json transformers/tokenizer.json transformers/model.safetensors "
        "saved_model/1/saved_model.pb saved_model/1/assets/vocabulary.spm"
    )
    with running_hub() as hub:
        repository = hub.repositories["model", "me/tuned"] = Repository("model", "me/tuned", True)
        repository.commit("all", {**served, **sharded, **dict.fromkeys(others.split(), b"x")})
        download_from(hub, monkeypatch, tmp_path / "cache")
        folder = _fetch("me/tuned", None)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {*served, *sharded}
