import json
import types

import h5py
import pytest
import tensorflow as tf

from models.errors import ModelError
from models.hparams import TrainHParams
from models.trainer import run_fn
from tests.models.tuning import PAIRS, PRESET, formatted

LONG = ("a" * 200, "too long for the sequence length of these tests")


def write_split(folder, name, pairs):
    """Transform's output of one split, as gzipped records."""
    path = folder / f"{name}-00000-of-00001.gz"
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for texts in formatted(pairs) if pairs else []:
            features = {
                feature: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                for feature, text in zip(("prompt_text", "response_text"), texts, strict=True)
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return [str(folder / f"{name}-*")]


@pytest.fixture(scope="module")
def run(tiny_cache, tmp_path_factory):
    """Runs the Trainer's function on splits of pairs; gives what it wrote into."""

    def run_on(train, evaluation, **changes):
        folder = tmp_path_factory.mktemp("trainer")
        hparams = TrainHParams(
            **{
                "preset": PRESET,
                "dtype": "float32",
                "sequence_length": 64,
                "batch_size": 2,
                "epochs": 2,
                "lora_rank": 4,
                "cache_dir": tiny_cache,
            }
            | changes
        )
        fn_args = types.SimpleNamespace(
            train_files=write_split(folder, "train", train),
            eval_files=write_split(folder, "eval", evaluation),
            serving_model_dir=str(folder / "Format-Serving"),
            model_run_dir=str(folder / "run"),
            custom_config={
                "hparams": hparams.model_dump_json(),
                "checkpoint_dir": str(folder / "checkpoints"),
            },
        )
        run_fn(fn_args)
        return folder / "Format-Serving"

    return run_on


@pytest.fixture(scope="module")
def written(run):
    return run([*PAIRS, LONG], [*PAIRS[:2], LONG])


@pytest.fixture(scope="module")
def facts(written):
    return json.loads((written / "training.json").read_text(encoding="utf-8"))


def test_the_artifact_holds_the_adapter_the_preset_and_both_descriptions(written):
    assert {path.name for path in written.iterdir()} == {
        "adapter.lora.h5",
        "generation.json",
        "preset",
        "training.json",
        "transformers",
    }
    with h5py.File(written / "adapter.lora.h5") as adapter:
        assert len(list(adapter)) > 0


def test_rows_that_are_too_long_are_reported(facts):
    assert (facts["train_rows"], facts["eval_rows"], facts["rows_too_long"]) == (4, 2, 2)


def test_the_facts_tell_what_was_trained_and_with_what(facts):
    assert (facts["preset"], facts["dtype"]) == (PRESET, "float32")
    assert TrainHParams(**facts["hparams"]).lora_rank == 4
    assert facts["steps"] == len(facts["losses"]) == 4
    assert all(loss > 0 for loss in facts["losses"])
    assert facts["eval_loss"] < facts["eval_loss_before"]
    assert {"keras", "keras_hub", "tensorflow"} <= facts["versions"].keys()


def test_an_empty_eval_split_gives_no_eval_loss(run):
    folder = run(PAIRS, [], max_steps=1)
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert (facts["eval_rows"], facts["eval_loss"], facts["eval_loss_before"]) == (0, None, None)


@pytest.mark.parametrize(
    ("train", "n_too_long"), [([LONG, LONG], 2), ([], 0)], ids=["all too long", "none"]
)
def test_training_stops_when_no_row_is_left(run, train, n_too_long):
    expected = rf"No row is left to train on: {n_too_long} were longer than 64 tokens"
    with pytest.raises(ModelError, match=expected):
        run(train, [])
