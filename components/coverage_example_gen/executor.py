"""Writes the coverage dataset as Examples, each row in its own split."""

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.types.artifact import Artifact
from tfx.utils import proto_utils

from components import examples_io
from core.records import COVERAGE_SPLITS, HOLDOUT_SPLIT, LOGGED_SPLIT, CoverageRow
from task.coverage.logged import read_logged
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_row, redacted_rows
from task.privacy import PrivacySettings

CODE_VERSION_KEY = "code_version"
PRIVACY_KEY = "privacy"


class Executor(BaseExampleGenExecutor):
    """Read the dataset as a whole, since ids and prompts must be unique over all files."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802
        """Return a transform from `CoverageRow` to serialized tf.Examples.

        Features, one value of bytes each: `id`, `prompt`, `output`, and `tags` as a JSON list;
        `references`, a JSON list, where there are any.
        """
        return beam.FlatMap(_serialized).with_output_types(bytes)

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the splits of the dataset, and next to them the logged exchanges, if there are any.

        Args:
            input_dict: None.
            output_dict: `examples`: Examples to be filled.
            exec_properties: See `GenerateExamplesByBeam`.

        Raises:
            UserError: The dataset or the exchanges cannot be used.
        """
        folder = exec_properties[standard_component_specs.INPUT_BASE_KEY]
        settings = PrivacySettings.model_validate_json(exec_properties[PRIVACY_KEY])
        logged = [redacted_row(row, settings) for row in read_logged(folder, files=fileio)]
        super().Do(input_dict, output_dict, exec_properties)
        if logged:
            # Split names are those of the dataset, so that nobody takes the exchanges for a part.
            uri = artifact_utils.get_single_uri(output_dict[standard_component_specs.EXAMPLES_KEY])
            features = [_features(row) for row in logged]
            examples_io.write_shard(examples_io.shard_path(uri, LOGGED_SPLIT, 0, 1), features)

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Return the serialized rows by split.

        Args:
            pipeline: Where the transforms are added.
            exec_properties: `input_base`, the folder; `output_config`, whose hash buckets are the
                shares of the splits among rows that name none; `privacy`, its settings as JSON.

        Raises:
            UserError: The dataset cannot be used.
        """
        rows = read_coverage(
            exec_properties[standard_component_specs.INPUT_BASE_KEY],
            holdout_percent=_holdout_percent(exec_properties),
            files=fileio,
        )
        settings = PrivacySettings.model_validate_json(exec_properties[PRIVACY_KEY])
        rows = redacted_rows(rows, settings)
        return {
            split: pipeline
            | f"Rows[{split}]" >> beam.Create([row for row in rows if row.split == split])
            | f"ToExample[{split}]" >> self.GetInputSourceToExamplePTransform()
            for split in COVERAGE_SPLITS
        }


def _serialized(row: CoverageRow) -> Iterator[bytes]:
    return examples_io.serialize([_features(row)])


def _features(row: CoverageRow) -> dict[str, str]:
    tags = json.dumps(row.tags, ensure_ascii=False)
    features = {"id": row.id, "prompt": row.prompt, "output": row.output, "tags": tags}
    if row.references:
        features["references"] = json.dumps(row.references, ensure_ascii=False)
    return features


def _holdout_percent(exec_properties: dict[str, Any]) -> int:
    config = example_gen_pb2.Output()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], config)
    buckets = {split.name: split.hash_buckets for split in config.split_config.splits}
    return int(buckets[HOLDOUT_SPLIT])
