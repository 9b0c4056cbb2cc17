"""Writes the coverage dataset as Examples, each row in its own split."""

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from components import examples_io
from components.coverage_example_gen.reader import read_coverage
from components.records import COVERAGE_SPLITS, HOLDOUT_SPLIT, CoverageRow

CODE_VERSION_KEY = "code_version"


class Executor(BaseExampleGenExecutor):
    """Reads the dataset as a whole, since ids and prompts must be unique over all files."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802
        """A transform from `CoverageRow` to serialized tf.Examples.

        Features, one value of bytes each: `id`, `prompt`, `output`, and `tags` as a JSON list.
        """
        return beam.FlatMap(_serialized).with_output_types(bytes)

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """The serialized rows by split.

        Args:
            pipeline: Where the transforms are added.
            exec_properties: `input_base`, the folder; `output_config`, whose hash buckets are the
                shares of the splits among rows that name none.

        Raises:
            UserError: The dataset cannot be used.
        """
        rows = read_coverage(
            exec_properties[standard_component_specs.INPUT_BASE_KEY],
            holdout_percent=_holdout_percent(exec_properties),
            files=fileio,
        )
        return {
            split: pipeline
            | f"Rows[{split}]" >> beam.Create([row for row in rows if row.split == split])
            | f"ToExample[{split}]" >> self.GetInputSourceToExamplePTransform()
            for split in COVERAGE_SPLITS
        }


def _serialized(row: CoverageRow) -> Iterator[bytes]:
    tags = json.dumps(row.tags, ensure_ascii=False)
    features = {"id": row.id, "prompt": row.prompt, "output": row.output, "tags": tags}
    return examples_io.serialize([features])


def _holdout_percent(exec_properties: dict[str, Any]) -> int:
    config = example_gen_pb2.Output()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], config)
    buckets = {split.name: split.hash_buckets for split in config.split_config.splits}
    return int(buckets[HOLDOUT_SPLIT])
