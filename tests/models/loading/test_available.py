"""A base model that cannot be loaded is found by one small request, or by none."""

import shutil
import struct

import kagglehub
import pytest
import requests
from kagglehub.exceptions import KaggleApiHTTPError

from core.errors import ModelError, ModelOutageError
from models.loading.available import check_preset
from tests.components.hf_pusher.hub_server import download_from, running_hub
from tests.components.hf_pusher.hub_state import Repository

NAME = "owner/model"
KERAS = {"config.json": b"{}", "model.weights.h5": b"x", "tokenizer.json": b"{}"}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with running_hub() as server:
        download_from(server, monkeypatch, tmp_path / "hub")
        yield server


@pytest.fixture
def published(hub):
    def publish(files, **facts):
        repository = Repository("model", NAME, False, **facts)
        repository.commit("all", dict(files))
        hub.repositories["model", NAME] = repository
        return repository

    return publish


@pytest.fixture
def kaggle(monkeypatch):
    """The files that were asked for; `error` is what the client raises."""

    class Asked(list):
        error = None

    asked = Asked()

    def model_download(handle, path):
        asked.append((handle, path))
        if asked.error:
            raise asked.error
        return path

    monkeypatch.setattr(kagglehub, "model_download", model_download)
    return asked


def http_error(status):
    response = requests.Response()
    response.status_code = status
    return KaggleApiHTTPError(f"{status} Client Error.", response=response)


def test_a_model_of_the_hub_takes_one_request(hub, published):
    published(KERAS)
    check_preset(f"hf://{NAME}")
    assert hub.requests == ["info"]


@pytest.mark.parametrize(
    "weights", ["model.weights.json", "model.safetensors", "model.safetensors.index.json"]
)
def test_every_format_that_kerashub_reads_is_taken(published, weights):
    published({"config.json": b"{}", weights: b"x"})
    check_preset(f"hf://{NAME}")


def test_one_that_is_not_there_is_named(hub):
    with pytest.raises(ModelError, match=r"has no model owner/model, or it is private.*HF_TOKEN"):
        check_preset(f"hf://{NAME}")
    assert hub.requests == ["info"]


def test_one_whose_license_was_not_accepted_is_named(hub, published):
    repository = published(KERAS, gated=True)
    with pytest.raises(ModelError, match="owner/model is gated: its license has to be accepted"):
        check_preset(f"hf://{NAME}")
    assert hub.requests == ["info", "resolve"]
    repository.accepted = True
    check_preset(f"hf://{NAME}")


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        (("model-Q4_K_M.gguf", "README.md"), "config.json; it holds model-Q4_K_M.gguf, README.md"),
        (("config.json", "pytorch_model.bin"), "weights that KerasHub reads"),
        ((), "config.json; it holds nothing"),
    ],
    ids=["gguf", "pickle", "empty"],
)
def test_one_without_weights_that_kerashub_reads_is_named(published, files, lacks):
    published(dict.fromkeys(files, b"x"))
    with pytest.raises(ModelError, match=lacks):
        check_preset(f"hf://{NAME}")


def test_a_name_that_is_none_is_refused_without_a_request(hub):
    with pytest.raises(ModelError, match="no name of a model on the Hugging Face Hub"):
        check_preset("hf://owner/model/file")
    assert hub.requests == []


def test_a_hub_that_does_not_answer_is_an_outage_unless_the_model_is_on_this_machine(
    hub, published, tmp_path
):
    published(KERAS)
    hub.fail("info", 503)
    with pytest.raises(ModelOutageError, match="the Hugging Face Hub does not answer"):
        check_preset(f"hf://{NAME}")
    folder = tmp_path / "hub" / "models--owner--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(ModelOutageError):
        check_preset(f"hf://{NAME}")
    (snapshot / "model.safetensors").write_text("x")
    check_preset(f"hf://{NAME}")


def test_a_model_of_kaggle_takes_its_smallest_file(kaggle):
    check_preset("kaggle://keras/gemma3/keras/gemma3_1b/3")
    check_preset("gemma3_1b")
    (first, second) = kaggle
    assert first == ("keras/gemma3/keras/gemma3_1b/3", "config.json")
    assert second[0].startswith("keras/gemma3/keras/gemma3_1b/")


@pytest.mark.parametrize("preset", ["gemma3_1b", "kaggle://keras/gemma3/keras/gemma3_1b"])
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (http_error(403), ModelError, r"accepted its license.*kaggle\.com/models/keras/gemma3"),
        (http_error(401), ModelError, "KAGGLE_USERNAME and KAGGLE_KEY"),
        (http_error(404), ModelError, r"it answers 404\)"),
        (http_error(503), ModelOutageError, "Kaggle does not answer"),
        (requests.ConnectionError("no route"), ModelOutageError, "Kaggle does not answer"),
    ],
    ids=["gated", "no-login", "missing", "outage", "no-network"],
)
def test_what_kaggle_refuses_is_told(kaggle, preset, error, kind, message):
    kaggle.error = error
    with pytest.raises(ModelError, match=message) as refused:
        check_preset(preset)
    assert type(refused.value) is kind


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("gemma3_wrong_999b", r"neither a folder nor a name that is built into KerasHub\. Did you"),
        ("gemma3_1", r"Did you mean .*gemma3_1b"),
        ("kaggle://keras/gemma3", r"no name of a model on Kaggle"),
        ("/tmp/no-such-folder", "there is no such folder"),
        ("./models/ours", "there is no such folder"),
        ("google/gemma-3-1b-it", r"For the model of the Hugging Face Hub write hf://google/gemma"),
        ("random:gpt5-tiny", "There is no preset 'random:gpt5-tiny'"),
        ("packaged:gemma3-1b", "There is no preset"),
        ("gguf:/nowhere/model.gguf", "no GGUF file '/nowhere/model.gguf'"),
    ],
)
def test_what_is_wrong_on_this_machine_needs_no_network(kaggle, hub, preset, message):
    with pytest.raises(ModelError, match=message):
        check_preset(preset)
    assert kaggle == hub.requests == []


def test_whole_folders_are_taken_and_others_named(tiny_preset, tmp_path):
    check_preset(tiny_preset)
    check_preset("random:gemma3-tiny")
    folder = tmp_path / "preset"
    shutil.copytree(tiny_preset, folder)
    (folder / "model.weights.h5").unlink()
    with pytest.raises(ModelError, match="holds no weights that KerasHub reads"):
        check_preset(str(folder))
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "part-1.bin"}}')
    with pytest.raises(ModelError, match=r"holds no part-1\.bin"):
        check_preset(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        check_preset(str(folder))


def gguf_of(architecture):
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    field = text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + field


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gguf_of("mamba"), "holds the architecture 'mamba'; only 'gemma3' can be converted"),
        (gguf_of("gemma3"), r"lacks the field tokenizer\.ggml\.tokens"),
        (b"GGUX", "not a readable GGUF file"),
    ],
    ids=["architecture", "tokenizer", "format"],
)
def test_a_gguf_file_is_looked_into(tmp_path, content, message):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        check_preset(f"gguf:{file}")


def test_the_packaged_model_has_to_be_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"not installed\. Run `make setup`"):
        check_preset("packaged:gemma3-270m")
