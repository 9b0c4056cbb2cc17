"""The Trainer's executor: TFX's own, given the model to start from."""

from typing import Any

from tfx.components.trainer.executor import GenericExecutor
from tfx.types.standard_artifacts import Model
from tfx.types.standard_component_specs import BASE_MODEL_KEY
from tfx.version import __version__ as tfx_version

WARM_START_URI_KEY = "warm_start_uri"


class Executor(GenericExecutor):
    """Calls `run_fn`, with the model of `warm_start_uri` as its `base_model`."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains.

        Args:
            input_dict: As for TFX's Trainer.
            output_dict: As for TFX's Trainer.
            exec_properties: Those of TFX's Trainer and `warm_start_uri`, the URI of a Model;
                empty for none.
        """
        if uri := exec_properties.get(WARM_START_URI_KEY):
            model = Model()
            model.uri = uri
            # Without a version TFX looks for the folders of its old estimators.
            model.set_string_custom_property("tfx_version", tfx_version)
            input_dict = {**input_dict, BASE_MODEL_KEY: [model]}
        super().Do(input_dict, output_dict, exec_properties)
