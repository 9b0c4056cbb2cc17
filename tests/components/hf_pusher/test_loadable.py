"""A pushed model is loaded from the Hub as its card says, and is the model that was trained."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import jinja2
import numpy as np
import pytest
from huggingface_hub import snapshot_download
from safetensors import safe_open
from tokenizers import Tokenizer

from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from core.families import GEMMA
from models.generation.generate import Generator
from models.loading.load import resolve_preset
from tests.models.tuning import PAIRS, PRESET, tune, write
from tests.records import training_record

PROMPT = PAIRS[0][0]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return resolve_preset(PRESET, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def tuned(preset):
    return tune(preset, epochs=40)


@pytest.fixture
def pushed(tuned, preset, source, tmp_path, hub_server, monkeypatch):
    """The id of a model that was trained, exported and pushed."""
    folder = tmp_path / "trained"
    folder.mkdir()
    verified = write(tuned, folder, preset, exports=("transformers",))
    exports_dir = folder / "exports"
    trained = {name: verified[name] for name in ("adapter", "preset")}
    record = training_record(preset=PRESET, exports=trained)
    (folder / "training.json").write_text(record.to_json())
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    settings = PushSettings(endpoint=hub_server.url)
    made = dataclasses.replace(source, model_dir=folder, exports_dir=exports_dir)
    return push_round(settings, made, runs_on_this_machine=True).repositories["model"]


def code_of_the_card(hub_server, repo_id, number):
    text = hub_server.repositories["model", repo_id].head[2]["README.md"].decode()
    blocks = re.findall("```python\n(.*?)```", text, re.DOTALL)
    example = re.search("^message = (.+)$", text, re.MULTILINE)[1]
    assert example in blocks[number]
    return blocks[number].replace(example, repr(PROMPT))


def test_kerashub_loads_it_as_the_card_says_and_it_gives_the_trained_tokens(
    pushed, tuned, hub_server, tmp_path
):
    code = code_of_the_card(hub_server, pushed, 0)
    assert f'from_preset("hf://{pushed}")' in code
    (tmp_path / "use.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, tmp_path / "use.py"],
        env={
            **os.environ,
            "HF_ENDPOINT": hub_server.url,
            "HF_TOKEN": hub_server.token,
            "HF_HOME": str(tmp_path / "home"),
            "KERAS_BACKEND": "tensorflow",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    [(expected, finish)] = Generator(tuned.model).respond([PROMPT], 16, 1)
    assert shown.stdout == f"{expected}\n"
    assert (expected, finish) == (PAIRS[0][1], "stop"), "it has learned something"


def test_the_transformers_checkpoint_has_what_automodel_needs(pushed, tuned, hub_server, tmp_path):
    root = snapshot_download(
        pushed, endpoint=hub_server.url, token=hub_server.token, local_dir=tmp_path / "snapshot"
    )
    folder = os.path.join(root, "transformers")

    def read(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)

    config = read("config.json")
    assert config["model_type"] == "gemma3_text"
    assert config["architectures"] == ["Gemma3ForCausalLM"]
    chat = jinja2.Template(read("tokenizer_config.json")["chat_template"])
    shown = chat.render(messages=[{"role": "user", "content": PROMPT}], bos_token="<bos>")
    assert shown == f"<bos>{GEMMA.prefix}{PROMPT}{GEMMA.suffix}"
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    ids = [int(token) for token in tuned.model.preprocessor.tokenizer(shown.removeprefix("<bos>"))]
    assert tokenizer.encode(shown, add_special_tokens=False).ids == [config["bos_token_id"], *ids]
    width, heads = config["hidden_size"], config["num_attention_heads"]
    with safe_open(os.path.join(folder, "model.safetensors"), "numpy") as weights:
        shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in list(weights.keys())}
        embeddings = weights.get_tensor("model.embed_tokens.weight")
    assert shapes["model.embed_tokens.weight"] == (config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}.self_attn.q_proj.weight"
        assert shapes[name] == (heads * config["head_dim"], width)
    np.testing.assert_array_equal(embeddings, tuned.model.backbone.token_embedding.embeddings)
