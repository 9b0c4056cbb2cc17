"""The Trainer: what its `run_fn` is given."""

import json

import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.utils import json_utils

from components.trainer.executor import Executor
from core.errors import UserError


@pytest.fixture
def trained(monkeypatch):
    """Takes the place of TFX's executor; remembers its inputs and parameters."""
    calls = []
    monkeypatch.setattr(
        GenericExecutor, "Do", lambda self, inputs, outputs, properties: calls.append(
            (inputs, properties)
        )
    )  # fmt: skip
    return calls


def _properties(hparams, **properties):
    custom_config = {"preset": "hf://google/gemma-3-1b-it", "checkpoint_dir": "gs://b/checkpoints"}
    return {
        "custom_config": json_utils.dumps(custom_config),
        "hparams": json.dumps(hparams),
        **properties,
    }


def test_the_hyperparameters_join_what_the_function_is_configured_with(trained):
    hparams = {"preset": "hf://google/gemma-3-1b-it", "epochs": 3}
    Executor().Do({}, {}, _properties(hparams))
    [(inputs, properties)] = trained
    custom_config = json_utils.loads(properties["custom_config"])
    assert json.loads(custom_config["hparams"]) == hparams
    assert custom_config["checkpoint_dir"] == "gs://b/checkpoints"
    assert inputs == {}


def test_the_model_of_an_earlier_round_is_the_base_model(trained):
    hparams = {"preset": "hf://google/gemma-3-1b-it"}
    Executor().Do({}, {}, _properties(hparams, warm_start_uri="gs://b/model"))
    [(inputs, _)] = trained
    [model] = inputs["base_model"]
    assert model.uri == "gs://b/model"


def test_hyperparameters_for_another_model_than_the_examples_are_refused(trained):
    hparams = {"preset": "hf://google/gemma-3-4b-it"}
    with pytest.raises(UserError, match=r"gemma-3-4b-it.*gemma-3-1b-it.*compile again"):
        Executor().Do({}, {}, _properties(hparams))
    assert not trained
