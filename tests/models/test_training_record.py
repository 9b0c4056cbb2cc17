"""Whoever needs the record of a training reads it by attribute, whatever version wrote it."""

import json
from pathlib import Path

import pytest

from core.artifact_files import TRAINING
from core.errors import ModelError
from models.hparams import TrainHParams
from models.training.warm_start import check_start
from models.training_record import read_training_record
from tests.models.tuning import PRESET

EARLIER = Path(__file__).parents[1] / "core" / "earlier" / TRAINING


@pytest.fixture
def first_version(tmp_path):
    """A model whose record names neither the training's method nor any version."""
    record = json.loads(EARLIER.read_text())
    del record["versions"], record["hparams"]["method"], record["hparams"]["lora_targets"]
    (tmp_path / TRAINING).write_text(json.dumps(record))
    return tmp_path


def test_what_the_first_version_does_not_name_has_its_default(first_version):
    record = read_training_record(str(first_version))
    assert (record.is_lora, record.hparams.lora_targets) == (True, "query-value")
    assert dict(record.versions) == {}


def test_a_training_starts_from_a_model_of_the_first_version(first_version):
    check_start(str(first_version), TrainHParams(preset=PRESET, lora_rank=4))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param('{"steps": 4, "los', "not what the component wrote", id="cut off"),
        pytest.param('{"schema_version": 9}', "has schema version 9", id="a later version"),
        pytest.param('{"hparams": {"epochs": 1}}', "preset: Field required", id="incomplete"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_with_the_reason(tmp_path, content, reason):
    if content is not None:
        (tmp_path / TRAINING).write_text(content)
    with pytest.raises(ModelError, match=rf"{tmp_path}/{TRAINING}.*{reason}"):
        read_training_record(str(tmp_path))
