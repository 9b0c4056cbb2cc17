import pathlib
import types

import pytest
import tensorflow as tf

from core.families import GEMMA
from models.hparams import TrainHParams
from models.loading import gguf
from models.loading.load import load_model, resolve_preset
from models.training.run_fn import run_fn
from tests.models.tuning import PRESET, formatted, tune, write

CACHE_DIR = pathlib.Path(__file__).parents[2] / ".cache"  # of `make run`: one conversion for both


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """A cache folder that the random two-layer Gemma is made in once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_preset(tiny_cache):
    """A folder with the random two-layer Gemma."""
    return resolve_preset(PRESET, tiny_cache)


@pytest.fixture
def tiny(tiny_preset):
    """A fresh copy of the random two-layer Gemma, which a test may train."""
    return load_model(tiny_preset, "float32")


@pytest.fixture(scope="session")
def tokenizer(tiny_preset):
    return load_model(tiny_preset, "float32").preprocessor.tokenizer


@pytest.fixture(scope="session")
def tuned(tiny_preset):
    """The random Gemma after it memorized `PAIRS`; tests only read it."""
    return tune(tiny_preset)


@pytest.fixture(scope="session")
def packaged_preset():
    """A folder with the converted Gemma 3 270M; only tests marked `slow` use it."""
    return gguf.packaged_preset(str(CACHE_DIR))


def write_split(folder, name, pairs, template=GEMMA):
    """Transform's output of one split, as gzipped records."""
    path = folder / f"{name}-00000-of-00001.gz"
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for texts in formatted(pairs, template) if pairs else []:
            features = {
                feature: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                for feature, text in zip(("prompt_text", "response_text"), texts, strict=True)
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return [str(folder / f"{name}-*")]


@pytest.fixture(scope="session")
def run_trainer(tiny_cache, tmp_path_factory):
    """Runs the Trainer's function on splits of pairs; gives what it wrote into."""

    def run_on(train, evaluation, base_model=None, folder=None, template=GEMMA, **changes):
        folder = folder or tmp_path_factory.mktemp("trainer")
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
            train_files=write_split(folder, "train", train, template),
            eval_files=write_split(folder, "eval", evaluation, template),
            serving_model_dir=str(folder / "Format-Serving"),
            model_run_dir=str(folder / "run"),
            base_model=base_model,
            custom_config={
                "hparams": hparams.model_dump_json(),
                "checkpoint_dir": str(folder / "checkpoints"),
            },
        )
        run_fn(fn_args)
        return folder / "Format-Serving"

    return run_on


@pytest.fixture(scope="session")
def written(tuned, tiny_preset, tmp_path_factory):
    """A folder as the Trainer writes it, all formats below it, and what was recorded of each."""
    folder = tmp_path_factory.mktemp("serving")
    return folder, write(tuned, folder, tiny_preset)


@pytest.fixture(scope="session")
def trained(written):
    """The folder as the Trainer writes it; tests only read it."""
    return written[0]


@pytest.fixture(scope="session")
def exported(trained):
    """The folder with the formats; tests only read it."""
    return trained / "exports"
