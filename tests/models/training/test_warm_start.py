"""A training that goes on from what an earlier one has learned."""

import json
import pathlib

import numpy as np
import pytest

from core import artifact_files
from core.errors import ModelError
from models.files import local_copy
from models.hparams import TrainHParams
from models.loading.load import load_model
from models.training.lora import enable_lora
from models.training.warm_start import check_start, load_factors
from tests.models.tuning import PAIRS, PRESET

LORA = {"lora_rank": 4, "lora_alpha": 6.0, "lora_targets": "attention"}


def facts_of(folder):
    return json.loads((folder / artifact_files.TRAINING).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def first(run_trainer):
    """What a first training wrote."""
    return run_trainer(PAIRS, PAIRS, **LORA, epochs=8, learning_rate=0.03)


@pytest.mark.parametrize("alpha", [6.0, None], ids=["same alpha", "another alpha"])
def test_the_second_training_begins_where_the_first_ended(run_trainer, first, alpha):
    changes = {**LORA, "lora_alpha": alpha}
    second = facts_of(run_trainer(PAIRS, PAIRS, base_model=str(first), max_steps=1, **changes))
    assert facts_of(first)["warm_start"] is None
    assert second["warm_start"] == str(first)
    assert second["eval_loss_before"] == pytest.approx(facts_of(first)["eval_loss"], abs=1e-3)
    assert second["eval_loss_before"] < 0.9 * facts_of(first)["eval_loss_before"]


@pytest.mark.slow
def test_a_training_of_all_weights_begins_with_the_first_ones_weights(run_trainer):
    changes = {"method": "full", "exports": ()}
    before = run_trainer(PAIRS, PAIRS, epochs=4, learning_rate=3e-3, **changes)
    after = facts_of(run_trainer(PAIRS, PAIRS, base_model=str(before), max_steps=1, **changes))
    assert after["eval_loss_before"] == pytest.approx(facts_of(before)["eval_loss"], abs=1e-3)
    assert after["eval_loss_before"] < 0.9 * facts_of(before)["eval_loss_before"]


def test_alpha_is_taken_out_of_the_adapter_again(first, tiny_preset):
    """The file holds what the factors do; each training has an alpha of its own."""
    inputs = {"token_ids": np.arange(2, 14)[None], "padding_mask": np.ones((1, 12), "bool")}
    expected = np.asarray(load_model(str(first / "preset"), "float32")(inputs))
    for alpha in (1.5, 4.0, 6.0):
        model = load_model(tiny_preset, "float32")
        enable_lora(model, TrainHParams(preset=PRESET, **{**LORA, "lora_alpha": alpha}))
        load_factors(model, str(first))
        np.testing.assert_allclose(model(inputs), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lora_rank": 8}, r"training\.lora_rank was 4 and is 8\."),
        ({"lora_targets": "all-linear"}, r"lora_targets was 'attention' and is 'all-linear'"),
        ({"preset": "random:gemma-tiny"}, r"preset was 'random:gemma3-tiny' and is 'random:gemma"),
        ({"lora_rank": 2, "preset": "hf://x"}, r"training\.preset .*; training\.lora_rank"),
        ({"method": "full", "preset": "hf://x"}, r"training\.preset was"),
    ],
    ids=["rank", "targets", "preset", "several", "all weights"],
)
def test_a_model_that_does_not_fit_is_refused_with_every_reason(first, changes, expected):
    hparams = TrainHParams(**{"preset": PRESET, **LORA} | changes)
    with pytest.raises(ModelError, match=expected + r".*rounds\.warm_start=scratch"):
        check_start(str(first), hparams)


def test_it_is_refused_before_anything_is_trained(run_trainer, first):
    with pytest.raises(ModelError, match=r"lora_rank was 4 and is 2"):
        run_trainer(PAIRS, [], base_model=str(first), **{**LORA, "lora_rank": 2})


@pytest.mark.parametrize("content", [None, "", "{}"], ids=["missing", "empty", "of something else"])
def test_a_model_that_is_not_there_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / artifact_files.TRAINING).write_text(content)
    with pytest.raises(
        ModelError, match=rf"no trained model at {tmp_path}: .*{artifact_files.TRAINING}"
    ):
        check_start(str(tmp_path), TrainHParams(preset=PRESET))


def contents(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("name", [artifact_files.ADAPTER, "preset"])
def test_what_is_in_a_bucket_is_copied_with_its_name_and_removed(first, name):
    with local_copy(f"file://{first}/{name}") as copy:
        assert copy != str(first / name)
        assert copy.endswith(f"/{name}")
        assert contents(pathlib.Path(copy)) == contents(first / name)
    assert not pathlib.Path(copy).exists()
