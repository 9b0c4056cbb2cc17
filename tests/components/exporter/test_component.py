"""Exporter within TFX: what it exports, and that nothing is exported of a model that failed."""

import json
import sys
import types

import pytest
from tfx.dsl.compiler import compiler
from tfx.orchestration import pipeline
from tfx.types import artifact_utils, channel_utils, standard_artifacts

from components.artifacts import Exports
from components.exporter.component import Exporter
from components.exporter.executor import Executor
from core.errors import ModelError, UserError
from tests.models.conftest import write_split
from tests.models.tuning import PAIRS

EXPORT_MODULE = "export_for_exporter_test"
REAL = "models.export.exports.export_fn"


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """What the function of `EXPORT_MODULE` was asked for."""
    asked = []
    module = types.ModuleType(EXPORT_MODULE)
    module.export_fn = lambda **arguments: asked.append(arguments)
    monkeypatch.setitem(sys.modules, EXPORT_MODULE, module)
    return asked


@pytest.fixture
def inputs(tmp_path):
    """Artifacts of a round as the other components leave them; the model was blessed."""
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", 1)
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    write_split(tmp_path / "examples" / "Split-train", "transformed_examples", PAIRS)
    return {"model": [model], "model_blessing": [blessing], "examples": [examples]}


def run(inputs, tmp_path, formats=("transformers",), export_fn=f"{EXPORT_MODULE}.export_fn"):
    exports = Exports()
    exports.uri = str(tmp_path / "exports")
    hparams = {"exports": formats, "gguf_type": "bf16", "epochs": 2}
    properties = {"export_fn": export_fn, "hparams": json.dumps(hparams), "code_version": ""}
    Executor().Do(inputs, {"exports": [exports]}, properties)
    return exports


def test_a_blessed_model_is_exported_from_where_the_trainer_wrote_it(inputs, tmp_path, calls):
    exports = run(inputs, tmp_path, ("transformers", "gguf"))
    [asked] = calls
    assert asked == {
        "model_dir": f"{tmp_path}/model/Format-Serving",
        "destination": exports.uri,
        "train_files": [f"{tmp_path}/examples/Split-train/*"],
        "formats": ("transformers", "gguf"),
        "gguf_type": "bf16",
    }
    assert exports.formats == ("transformers", "gguf")


def test_a_model_that_was_not_blessed_is_not_exported(inputs, tmp_path, calls):
    inputs["model_blessing"][0].set_int_custom_property("blessed", 0)
    assert run(inputs, tmp_path).formats == ()
    assert calls == []
    assert not (tmp_path / "exports").exists()


def test_without_a_wanted_format_nothing_is_loaded(inputs, tmp_path, calls):
    assert run(inputs, tmp_path, ()).formats == ()
    assert calls == []


def test_what_a_trainer_wrote_is_exported_verified_and_summed_up(inputs, tmp_path, run_trainer):
    (tmp_path / "model").mkdir()
    run_trainer(PAIRS, PAIRS[:1], folder=tmp_path / "model", max_steps=1)
    run(inputs, tmp_path, export_fn=REAL)
    record = json.loads((tmp_path / "exports" / "exports.json").read_text(encoding="utf-8"))
    assert record["transformers"]["verified"] is True
    names = {path.name for path in (tmp_path / "exports" / "transformers").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    sums = (tmp_path / "exports" / "SHA256SUMS").read_text(encoding="utf-8")
    assert {line.split()[1] for line in sums.splitlines()} == {
        "exports.json",
        *(f"transformers/{name}" for name in names),
    }
    weights = next((tmp_path / "model" / "Format-Serving" / "preset").glob("*.weights.h5"))
    weights.write_bytes(b"\0" + weights.read_bytes()[1:])
    with pytest.raises(ModelError, match=r"weights\.h5' .* is damaged"):
        run(inputs, tmp_path, export_fn=REAL)


def test_an_export_function_that_is_not_there_is_named(inputs, tmp_path):
    with pytest.raises(UserError, match=r"export_fn 'nowhere\.f' cannot be loaded"):
        run(inputs, tmp_path, export_fn="nowhere.f")


def test_its_place_in_a_pipeline():
    node = Exporter(
        model=channel_utils.as_channel([standard_artifacts.Model()]),
        model_blessing=channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        export_fn="m.f",
        hparams="{}",
    )
    compiled = compiler.Compiler().compile(
        pipeline.Pipeline(pipeline_name="p", pipeline_root="/tmp/p", components=[node])
    )
    [made] = compiled.nodes
    assert made.pipeline_node.outputs.outputs["exports"].artifact_spec.type.name == (
        "components.Exports"
    )
