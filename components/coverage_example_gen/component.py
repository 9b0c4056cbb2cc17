"""The CoverageExampleGen component."""

from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import example_gen_pb2
from tfx.types import Channel, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter

from components.coverage_example_gen import executor
from components.coverage_example_gen.splits import DEFAULT_HOLDOUT_PERCENT
from components.records import HOLDOUT_SPLIT, SEED_SPLIT

# The files whose size and time make up the fingerprint: a glob for *.jsonl and *.csv, because the
# driver takes one pattern and must not notice an edited datasheet.
_DATA_FILES = "*.[jc]s*[lv]"


class CoverageExampleGenSpec(standard_component_specs.FileBasedExampleGenSpec):
    """The parameters of a file-based ExampleGen, and the version of the code."""

    PARAMETERS = {  # noqa: RUF012  (TFX reads a plain dict)
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        executor.CODE_VERSION_KEY: ExecutionParameter(type=str),
    }


class CoverageExampleGen(FileBasedExampleGen):
    """Brings the coverage dataset into the pipeline.

    It stays a `FileBasedExampleGen`, so both runners give it the driver that fingerprints the
    files: unchanged files are served from TFX's cache.

    Outputs:
        examples: `Examples` with the splits `seed` and `holdout`; features `id`, `prompt`,
            `output`, and `tags` (a JSON list).
    """

    SPEC_CLASS = CoverageExampleGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        input_base: str | RuntimeParameter,
        *,
        holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
        code_version: str | RuntimeParameter = "",
    ) -> None:
        """Builds the component.

        Args:
            input_base: Folder or `gs://` URI with `*.jsonl` and `*.csv` files.
            holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.

        Raises:
            ValueError: `holdout_percent` is out of bounds.
        """
        if not 1 <= holdout_percent <= 99:
            raise ValueError(f"holdout_percent is {holdout_percent}; expected 1 to 99.")
        # The parent's constructor makes its own spec, which has no room for code_version.
        super(FileBasedExampleGen, self).__init__(
            spec=CoverageExampleGenSpec(
                **{
                    standard_component_specs.INPUT_BASE_KEY: input_base,
                    standard_component_specs.INPUT_CONFIG_KEY: _input_config(),
                    standard_component_specs.OUTPUT_CONFIG_KEY: _output_config(holdout_percent),
                    standard_component_specs.OUTPUT_DATA_FORMAT_KEY: (
                        example_gen_pb2.FORMAT_TF_EXAMPLE
                    ),
                    standard_component_specs.OUTPUT_FILE_FORMAT_KEY: (
                        example_gen_pb2.FORMAT_TFRECORDS_GZIP
                    ),
                    standard_component_specs.EXAMPLES_KEY: Channel(
                        type=standard_artifacts.Examples
                    ),
                    executor.CODE_VERSION_KEY: code_version,
                }
            )
        )


def _input_config() -> example_gen_pb2.Input:
    return example_gen_pb2.Input(
        splits=[example_gen_pb2.Input.Split(name="coverage", pattern=_DATA_FILES)]
    )


def _output_config(holdout_percent: int) -> example_gen_pb2.Output:
    shares = {SEED_SPLIT: 100 - holdout_percent, HOLDOUT_SPLIT: holdout_percent}
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[
                example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share)
                for name, share in shares.items()
            ]
        )
    )
