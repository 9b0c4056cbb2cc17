"""ResponseGen's executor: reads the coverage Examples, writes `responses.jsonl`."""

import logging
from collections import Counter
from collections.abc import Collection

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components.examples_io import read_coverage
from components.executing import load_function
from components.response_gen.responses import respond
from components.response_gen.settings import GenerationSettings
from core import artifact_files
from core.records import COVERAGE_SPLITS, LOOP_SPLITS
from core.storage import write_text
from judging.judged_rows import judged_rows

COVERAGE_KEY = "coverage"
MODEL_KEY = "model"
RESPONSES_KEY = "responses"

_logger = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Answer every coverage prompt with one model."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, str],
    ) -> None:
        """Generate the responses.

        Args:
            input_dict: `coverage`: Examples with the splits `seed`, `holdout` and `test`; `model`:
                a Model, absent for a base model.
            output_dict: `responses`: Responses; its custom properties hold the counts.
            exec_properties: `generate_fn`, `settings`, `preset`, `max_prompts`, `sample`, `splits`;
                see the component.

        Raises:
            UserError: An input cannot be used.
        """
        settings = GenerationSettings.model_validate_json(exec_properties["settings"])
        models = input_dict.get(MODEL_KEY)
        model_dir = path_utils.serving_model_dir(models[0].uri) if models else ""
        coverage = read_coverage(artifact_utils.get_single_uri(input_dict[COVERAGE_KEY]))
        # The test split is for the model that is kept; baselines are compared on the others.
        splits: Collection[str] = COVERAGE_SPLITS if model_dir else LOOP_SPLITS
        if named := exec_properties.get("splits"):
            splits = named.split(",")
        asked = judged_rows(
            [row for row in coverage if row.split in splits],
            _number(exec_properties, "max_prompts"),
        )
        rows, times = respond(
            judged_rows(asked, _number(exec_properties, "sample")),
            load_function(exec_properties["generate_fn"], "generate_fn"),
            settings,
            model_dir=model_dir,
            preset=exec_properties.get("preset") or "",
            pool=asked,
        )
        responses = artifact_utils.get_single_instance(output_dict[RESPONSES_KEY])
        lines = "".join(f"{row.to_json()}\n" for row in rows)
        write_text(f"{responses.uri}/{artifact_files.RESPONSES}", lines)
        if times is not None:
            write_text(f"{responses.uri}/{artifact_files.GENERATION_TIMES}", times.to_json())
        finishes = Counter(row.finish for row in rows)
        responses.set_int_custom_property("responses", len(rows))
        responses.set_int_custom_property("cut_off", finishes["length"])
        _logger.info("%d responses, %d cut off", len(rows), finishes["length"])


def _number(exec_properties: dict[str, str], name: str) -> int | None:
    value = exec_properties.get(name)
    return int(value) if value else None
