"""The Trainer's executor: TFX's own, given the hyperparameters and the model to start from."""

import json

from tfx.components.trainer.executor import GenericExecutor
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Model
from tfx.types.standard_component_specs import BASE_MODEL_KEY, CUSTOM_CONFIG_KEY
from tfx.utils import json_utils
from tfx.version import __version__ as tfx_version

from core.errors import UserError

HPARAMS_KEY = "hparams"
PRESET_KEY = "preset"
WARM_START_URI_KEY = "warm_start_uri"


class Executor(GenericExecutor):
    """Calls `run_fn`, with `hparams` in its `custom_config` and a `base_model` to start from."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, str],
    ) -> None:
        """Train the model.

        Args:
            input_dict: As for TFX's Trainer.
            output_dict: As for TFX's Trainer.
            exec_properties: Those of TFX's Trainer; `hparams`, the hyperparameters as JSON; and
                `warm_start_uri`, the URI of a Model, empty for none.

        Raises:
            UserError: The hyperparameters are for another model than the one that Transform has
                prepared the examples for.
        """
        custom_config = json_utils.loads(exec_properties[CUSTOM_CONFIG_KEY])
        hparams = exec_properties[HPARAMS_KEY]
        _check_preset(json.loads(hparams).get(PRESET_KEY), custom_config[PRESET_KEY])
        custom_config = json_utils.dumps({**custom_config, HPARAMS_KEY: hparams})
        exec_properties = {**exec_properties, CUSTOM_CONFIG_KEY: custom_config}
        if uri := exec_properties.get(WARM_START_URI_KEY):
            model = Model()
            model.uri = uri
            # Without a version TFX looks for the folders of its old estimators.
            model.set_string_custom_property("tfx_version", tfx_version)
            input_dict = {**input_dict, BASE_MODEL_KEY: [model]}
        super().Do(input_dict, output_dict, exec_properties)


def _check_preset(wanted: object, prepared: str) -> None:
    if wanted != prepared:
        raise UserError(
            f"The training is to tune {wanted!r}, and its examples were made for {prepared!r}. "
            "The model cannot be changed for a single run: set training.preset and compile again."
        )
