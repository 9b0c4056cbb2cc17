import json

import h5py
import pytest

from core.errors import ModelError
from models.hparams import TrainHParams
from tests.models.tuning import PAIRS, PRESET

LONG = ("a" * 200, "too long for the sequence length of these tests")


@pytest.fixture(scope="module")
def written(run_trainer):
    return run_trainer([*PAIRS, LONG], [*PAIRS[:2], LONG])


@pytest.fixture(scope="module")
def facts(written):
    return json.loads((written / "training.json").read_text(encoding="utf-8"))


def test_the_artifact_holds_the_adapter_the_preset_and_both_descriptions(written):
    assert {path.name for path in written.iterdir()} == {
        "SHA256SUMS",
        "adapter.lora.h5",
        "generation.json",
        "preset",
        "training.json",
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


def test_an_empty_eval_split_gives_no_eval_loss(run_trainer):
    folder = run_trainer(PAIRS, [], max_steps=1)
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert (facts["eval_rows"], facts["eval_loss"], facts["eval_loss_before"]) == (0, None, None)


@pytest.mark.parametrize(
    ("train", "n_too_long"), [([LONG, LONG], 2), ([], 0)], ids=["all too long", "none"]
)
def test_training_stops_when_no_row_is_left(run_trainer, train, n_too_long):
    expected = rf"No training rows remain: {n_too_long} exceed 64 tokens"
    with pytest.raises(ModelError, match=expected):
        run_trainer(train, [])


@pytest.mark.slow
def test_a_training_that_failed_after_its_last_step_is_not_trained_again(
    run_trainer, tmp_path, monkeypatch
):
    """Another execution has other output folders; the checkpoints are where they were."""
    changes = {"folder": tmp_path, "checkpoint_steps": 1}
    with monkeypatch.context() as patch:
        patch.setattr(
            "models.training.run_fn.write_trained_model", lambda *arguments, **options: 1 / 0
        )
        with pytest.raises(ZeroDivisionError):
            run_trainer(PAIRS, PAIRS, **changes)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    other = run_trainer(PAIRS, PAIRS, seed=1, **changes)
    assert json.loads((other / "training.json").read_text())["resumed_at"] is None
    folder = run_trainer(PAIRS, PAIRS, **changes)
    facts = json.loads((folder / "training.json").read_text())
    assert facts["resumed_at"] == facts["steps"] == len(facts["losses"]) == 4
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_preset_that_is_made_first_changes_nothing(run_trainer, tmp_path):
    def losses(cache_dir):
        folder = run_trainer(PAIRS, [], cache_dir=str(cache_dir))
        return json.loads((folder / "training.json").read_text(encoding="utf-8"))["losses"]

    made, found = losses(tmp_path), losses(tmp_path)
    assert made == found
