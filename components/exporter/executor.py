"""Exporter's executor: lets a function write the formats of a blessed model."""

from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils, path_utils

from components.executing import is_blessed, load_function
from components.exporter.settings import ExportSettings
from core.progress import progress

MODEL_KEY = "model"
BLESSING_KEY = "model_blessing"
EXAMPLES_KEY = "examples"
EXPORTS_KEY = "exports"
EXPORT_FN_KEY = "export_fn"
HPARAMS_KEY = "hparams"
CODE_VERSION_KEY = "code_version"

_SPLIT = "train"


class Executor(BaseExecutor):
    """Exports the model when it was blessed, and records the formats either way."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Export a model.

        Args:
            input_dict: `model`: Model; `model_blessing`: ModelBlessing; `examples`: transformed
                Examples, whose longest row of `train` is one of the texts that are compared.
            output_dict: `exports`: Exports.
            exec_properties: `export_fn`, `hparams`; see the component.

        Raises:
            UserError: The model cannot be written in a format.
        """
        settings = ExportSettings.model_validate_json(exec_properties[HPARAMS_KEY])
        exports = artifact_utils.get_single_instance(output_dict[EXPORTS_KEY])
        formats = settings.exports if is_blessed(input_dict[BLESSING_KEY]) else ()
        if formats:
            load_function(exec_properties[EXPORT_FN_KEY], EXPORT_FN_KEY)(
                model_dir=path_utils.serving_model_dir(
                    artifact_utils.get_single_uri(input_dict[MODEL_KEY])
                ),
                destination=exports.uri,
                train_files=[
                    io_utils.all_files_pattern(uri)
                    for uri in artifact_utils.get_split_uris(input_dict[EXAMPLES_KEY], _SPLIT)
                ],
                formats=formats,
                gguf_type=settings.gguf_type,
            )
        elif settings.exports:
            progress.info("not exported: the model was not blessed")
        exports.formats = formats
