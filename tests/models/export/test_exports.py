import json
import subprocess
import sys
from pathlib import Path

import jinja2
import numpy as np
import pytest
import tensorflow as tf

from core.errors import ModelError
from core.families import GEMMA
from core.family import ChatTemplate
from models.export import exports as module
from models.export import support
from models.export.chat_templates import jinja_chat_template, ollama_template
from models.export.exports import export_fn
from models.export.gguf_file import modelfile
from models.export.transformers_checkpoint import checkpoint_tokens
from models.export.verification import PROMPTS as FIXED
from models.generation.generate import Generator, generate_fn
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_preset
from models.training.lora import enable_lora
from tests.models.tuning import EXPORTS, HPARAMS, PAIRS, PRESET, tune, write

EARLIER_RECORD = Path(__file__).parents[2] / "core" / "earlier" / "training.json"
PROMPTS = [prompt for prompt, _ in PAIRS] + ["hello team", "what is it?"]
INPUTS = {"token_ids": np.arange(2, 26).reshape(2, 12), "padding_mask": np.ones((2, 12), "bool")}


def greedy(model):
    return Generator(model).respond(PROMPTS, 16, len(PROMPTS))


@pytest.fixture(scope="module")
def expected(tuned):
    return greedy(tuned.model)


def test_every_format_was_loaded_again_and_compared(written):
    folder, record = written
    assert list(record) == ["adapter", "preset", *EXPORTS]
    assert {path.name for path in folder.iterdir()} == {
        "adapter.lora.h5",
        "preset",
        "generation.json",
        "SHA256SUMS",
        "exports",
    }
    names = {path.name for path in (folder / "exports").iterdir()}
    assert names == {"exports.json", "SHA256SUMS", *EXPORTS}
    recorded = json.loads((folder / "exports" / "exports.json").read_text(encoding="utf-8"))
    assert recorded == {name: record[name] for name in EXPORTS}
    for name, found in record.items():
        assert found["verified"] is True
        assert found["greedy_tokens"] >= 2 * len(FIXED), name
        tolerance = 0.1 if name == "gguf" else 1e-3
        assert 0 <= found["largest_logit_difference"] <= tolerance, name
    assert json.loads(json.dumps(record)) == record


def test_a_model_whose_record_names_no_backend_is_exported(trained, tmp_path):
    for name in ("preset", "generation.json", "SHA256SUMS", "adapter.lora.h5"):
        (tmp_path / name).symlink_to(trained / name)
    record = json.loads(EARLIER_RECORD.read_text())
    del record["versions"], record["hparams"]["method"]
    (tmp_path / "training.json").write_text(json.dumps(record))
    files = {"model_dir": str(tmp_path), "destination": str(tmp_path / "exports")}
    assert export_fn(**files, train_files=[], formats=[], gguf_type="bf16") == []
    assert json.loads((tmp_path / "exports" / "exports.json").read_text()) == {}


def test_the_preset_holds_the_merged_model(trained, tuned, expected):
    model = load_model(str(trained / "preset"), "float32")
    np.testing.assert_allclose(model(INPUTS), tuned.model(INPUTS), atol=1e-4)
    assert greedy(model) == expected


def test_the_adapter_on_the_base_model_is_the_same_model(trained, tiny, tuned, expected):
    enable_lora(tiny, TrainHParams(preset=PRESET, lora_rank=8))
    tiny.backbone.load_lora_weights(str(trained / "adapter.lora.h5"))
    np.testing.assert_allclose(tiny(INPUTS), tuned.model(INPUTS), atol=1e-5)
    assert greedy(tiny) == expected


def test_generate_fn_answers_with_the_exported_model(trained, expected):
    settings = {
        "max_output_tokens": 16,
        "batch_size": len(PROMPTS),
        "samples": 1,
        "temperature": 0.0,
        "seed": 0,
        "dtype": "float32",
    }
    answers = generate_fn(model_dir=str(trained), preset="", prompts=PROMPTS, settings=settings)
    assert answers == [[sample] for sample in expected]


def test_how_the_model_is_prompted_is_written_beside_it(trained):
    facts = json.loads((trained / "generation.json").read_text(encoding="utf-8"))
    assert facts == {
        "prefix": "<start_of_turn>user\n",
        "suffix": "<end_of_turn>\n<start_of_turn>model\n",
        "stop": ["<end_of_turn>"],
        "between": "\n",
        "markers": ["<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>"],
        "sequence_length": 64,
    }


def test_the_adapter_is_small_and_the_preset_is_kerashubs(trained):
    adapter = (trained / "adapter.lora.h5").stat().st_size
    weights = sum(f.stat().st_size for f in (trained / "preset").glob("*.weights.h5"))
    assert 0 < adapter < weights / 4
    assert (trained / "preset" / "config.json").is_file()


def test_an_export_changes_nothing_of_the_model(tuned, tiny_preset, tmp_path):
    before = np.asarray(tuned.model(INPUTS))
    write(tuned, tmp_path, tiny_preset, exports=())
    np.testing.assert_array_equal(tuned.model(INPUTS), before)


def test_an_export_can_be_repeated_into_the_same_folder(tmp_path, tiny_preset, tuned, expected):
    for _ in range(2):
        write(tuned, tmp_path, tiny_preset, exports=())
    assert greedy(load_model(str(tmp_path / "preset"), "float32")) == expected


_SERVER = """
import json, sys
import tensorflow as tf
import tensorflow_text

signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answers = signature(prompts=tf.constant(json.load(sys.stdin)))
rows = zip(answers["responses"].numpy(), answers["finish"].numpy())
imported = sorted(name for name in ("keras", "keras_hub", "models") if name in sys.modules)
print(json.dumps({"rows": [[r.decode(), f.decode()] for r, f in rows], "imported": imported}))
"""


def test_a_process_with_tensorflow_alone_answers_with_the_saved_model(exported, tuned):
    done = subprocess.run(
        [sys.executable, "-c", _SERVER, str(exported / "saved_model" / "1")],
        input=json.dumps(PROMPTS),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert "models" not in answer["imported"]
    assert "keras_hub" not in answer["imported"]
    wanted = Generator(tuned.model).respond(PROMPTS, HPARAMS.sequence_length, len(PROMPTS))
    assert answer["rows"] == [list(sample) for sample in wanted]


def test_a_saved_model_needs_no_other_ops_than_tensorflow_servings(written):
    # All are in `tensorflow_text:ops_lib`, which TensorFlow Serving links in.
    assert written[1]["saved_model"]["custom_ops"] == [
        "SentencepieceDetokenizeOp",
        "SentencepieceOp",
        "SentencepieceTokenizeOp",
    ]


def test_the_saved_models_response_is_cut_where_it_is_asked_to(exported, tuned):
    signature = tf.saved_model.load(str(exported / "saved_model" / "1")).signatures["with_limit"]
    for limit in (1, 3):
        found = signature(prompts=tf.constant(PROMPTS), max_output_tokens=tf.constant(limit))
        wanted = Generator(tuned.model).respond(PROMPTS, limit, len(PROMPTS))
        texts = [text.decode("utf-8", "replace") for text in found["responses"].numpy()]
        ends = [end.decode() for end in found["finish"].numpy()]
        assert list(zip(texts, ends, strict=True)) == wanted


def test_the_transformers_checkpoint_tells_where_a_turn_ends(exported, tuned):
    tokenizer = tuned.model.preprocessor.tokenizer
    folder = exported / "transformers"
    config = json.loads((folder / "config.json").read_text())
    generation = json.loads((folder / "generation_config.json").read_text())
    turn_end = tokenizer.token_to_id("<end_of_turn>")
    assert (config["model_type"], config["eos_token_id"]) == ("gemma3_text", 1)
    assert generation == {"bos_token_id": 2, "eos_token_id": [1, turn_end]}
    # transformers reads both, and warns where one does not say this.
    of_preset = json.loads((exported.parent / "preset" / "config.json").read_text())
    assert config["transformers_version"] == of_preset["transformers_version"] == "5.0.0"
    [ids] = checkpoint_tokens(folder, ["hello<end_of_turn>"])
    assert ids[-1] == turn_end


@pytest.mark.parametrize("with_start", [True, False], ids=["transformers", "llama.cpp"])
def test_the_chat_template_writes_turns(with_start):
    source = jinja_chat_template(GEMMA, with_start=with_start)
    messages = [
        {"role": "user", "content": " hi {{ 1 }} \n"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "2"},
    ]
    text = jinja2.Template(source, keep_trailing_newline=True).render(
        messages=messages, bos_token="<bos>"
    )
    assert text == (
        ("<bos>" if with_start else "")
        + "<start_of_turn>user\n hi {{ 1 }} \n<end_of_turn>\n<start_of_turn>model\n"
        + "yes<end_of_turn>\n"
        + "<start_of_turn>user\n2<end_of_turn>\n<start_of_turn>model\n"
    )


def test_the_modelfile_prompts_as_the_training_did():
    template = ChatTemplate(prefix="[INST] ", suffix=" [/INST]", end="</s>")
    assert modelfile(template, 512) == (
        "FROM ./model.gguf\n"
        f'TEMPLATE """{ollama_template(template)}"""\n'
        'PARAMETER stop "</s>"\n'
        "PARAMETER temperature 0\n"
        "PARAMETER num_ctx 1024\n"
        "PARAMETER num_predict 512\n"
    )


@pytest.mark.parametrize("gguf_type", ["f32", "q8_0"])
def test_a_gguf_file_of_another_precision(tuned, tiny_preset, tmp_path, gguf_type):
    record = write(tuned, tmp_path, tiny_preset, exports=("gguf",), gguf_type=gguf_type)
    limit = {"f32": 0.01, "q8_0": 0.15}[gguf_type]
    assert record["gguf"]["largest_logit_difference"] <= limit


@pytest.mark.slow
def test_in_bfloat16_every_format_is_the_model_within_rounding(tiny_preset, tmp_path):
    tuned = tune(tiny_preset, dtype="bfloat16", max_steps=20)
    record = write(tuned, tmp_path, tiny_preset, dtype="bfloat16")
    assert list(record) == ["adapter", "preset", *EXPORTS]
    assert all(found["largest_logit_difference"] <= 0.15 for found in record.values())


def damage(model, monkeypatch):
    """Makes the preset that is saved of a model another one."""
    saved = model.save_to_preset

    def save(path):
        saved(path)
        loaded = load_model(path, "float32")
        loaded.backbone.layer_norm.scale.assign(loaded.backbone.layer_norm.scale + 1)
        loaded.save_to_preset(path)

    monkeypatch.setattr(model, "save_to_preset", save)


def test_an_export_that_changes_the_model_is_refused(tuned, tiny_preset, tmp_path, monkeypatch):
    damage(tuned.model, monkeypatch)
    with pytest.raises(ModelError, match="'preset' give other logits"):
        write(tuned, tmp_path, tiny_preset)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["saved_model", "gguf", "transformers"])
def test_a_format_of_other_weights_is_refused(
    name, tuned, tiny_preset, tiny, tmp_path, monkeypatch
):
    writer = {
        "saved_model": "export_saved_model",
        "gguf": "export_gguf",
        "transformers": "export_transformers",
    }[name]
    original = getattr(module, writer)
    monkeypatch.setattr(
        module, writer, lambda model, *rest, **options: original(tiny, *rest, **options)
    )
    with pytest.raises(ModelError, match=f"'{name}' .*Nothing was exported"):
        write(tuned, tmp_path, tiny_preset, exports=(name,))
    assert not (tmp_path / "exports").exists()


def test_an_adapter_on_another_base_model_is_refused(tuned, tmp_path, tiny_cache):
    other = resolve_preset("random:gemma3-tiny", str(tmp_path / "other"))
    model = load_model(other, "float32")
    kernel = model.backbone.transformer_layers[0].attention.output_dense.kernel
    kernel.assign(-kernel)
    model.save_to_preset(str(tmp_path / "base"))
    (tmp_path / "serving").mkdir()
    with pytest.raises(ModelError, match="'adapter'"):
        write(tuned, tmp_path / "serving", str(tmp_path / "base"))
    assert list((tmp_path / "serving").iterdir()) == []


def test_llama_cpp_has_to_be_there_before_the_training(tiny, monkeypatch):
    monkeypatch.setattr(support.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"leave gguf out of training\.exports"):
        support.check_formats(tiny, HPARAMS.exports)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"exports": ["onnx"]}, "'transformers', 'saved_model' or 'gguf'"),
        ({"exports": ["gguf", "gguf"]}, "names a format twice: gguf, gguf"),
        ({"exports": ["gguf"], "quantization": "int8"}, "gguf cannot hold Keras' int8 weights"),
    ],
)
def test_exports_that_cannot_be_are_refused_with_the_configuration(values, message):
    with pytest.raises(ValueError, match=message):
        TrainHParams(preset=PRESET, **values)
