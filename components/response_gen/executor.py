"""ResponseGen's executor: reads the coverage Examples, writes `responses.jsonl`."""

import logging
import os
from collections import Counter
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.examples_io import read_coverage
from components.response_gen.responses import load_generate_fn, respond
from components.response_gen.settings import GenerationSettings

COVERAGE_KEY = "coverage"
MODEL_KEY = "model"
RESPONSES_KEY = "responses"
RESPONSES_FILE = "responses.jsonl"

_logger = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Answers every coverage prompt with one model."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Generates the responses.

        Args:
            input_dict: `coverage`: Examples with the splits `seed` and `holdout`; `model`: a Model,
                absent for a base model.
            output_dict: `responses`: Responses; its custom properties hold the counts.
            exec_properties: `generate_fn`, `settings`, `preset`; see the component.

        Raises:
            UserError: An input cannot be used.
        """
        settings = GenerationSettings.model_validate_json(exec_properties["settings"])
        models = input_dict.get(MODEL_KEY)
        model_dir = path_utils.serving_model_dir(models[0].uri) if models else ""
        rows = respond(
            read_coverage(artifact_utils.get_single_uri(input_dict[COVERAGE_KEY])),
            load_generate_fn(exec_properties["generate_fn"]),
            settings,
            model_dir=model_dir,
            preset=exec_properties.get("preset") or "",
        )
        responses = artifact_utils.get_single_instance(output_dict[RESPONSES_KEY])
        fileio.makedirs(responses.uri)
        with fileio.open(os.path.join(responses.uri, RESPONSES_FILE), "wb") as stream:
            stream.write("".join(f"{row.to_json()}\n" for row in rows).encode())
        finishes = Counter(row.finish for row in rows)
        responses.set_int_custom_property("responses", len(rows))
        responses.set_int_custom_property("cut_off", finishes["length"])
        _logger.info("%d responses, %d cut off", len(rows), finishes["length"])
