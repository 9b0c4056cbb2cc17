"""The CoverageExampleGen component."""

from typing import ClassVar

from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs

from components.coverage_example_gen import executor
from components.specs import fill, properties
from core.records import HOLDOUT_SPLIT, SEED_SPLIT, TEST_SPLIT
from task.splits import DEFAULT_HOLDOUT_PERCENT

# The files whose size and time make up the fingerprint: a glob for *.jsonl and *.csv, because the
# driver takes one pattern and must not notice an edited datasheet.
_DATA_FILES = "*.[jc]s*[lv]"


class CoverageExampleGenSpec(standard_component_specs.FileBasedExampleGenSpec):
    """The parameters of a file-based ExampleGen, the privacy settings, and the code's version."""

    PARAMETERS: ClassVar = {
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        **properties(executor.CODE_VERSION_KEY, executor.PRIVACY_KEY),
    }


class CoverageExampleGen(FileBasedExampleGen):
    """Bring the coverage dataset into the pipeline.

    It stays a `FileBasedExampleGen`, so both runners give it the driver that fingerprints the
    files: unchanged files are served from TFX's cache.

    Outputs:
        examples: `Examples` with the splits `seed`, `holdout` and `test`, which may be empty;
            features `id`, `prompt`, `output`, and `tags` (a JSON list). Logged exchanges next to
            the dataset are written to `Split-logged`, which SynthDataGen alone reads.
    """

    SPEC_CLASS = CoverageExampleGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        input_base: str | RuntimeParameter,
        *,
        holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
        privacy: str | RuntimeParameter = "{}",
        code_version: str | RuntimeParameter = "",
    ) -> None:
        """Construct the component.

        Args:
            input_base: Folder or `gs://` URI with `*.jsonl` and `*.csv` files.
            holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.
            privacy: `PrivacySettings` as JSON; by default nothing is redacted.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.

        Raises:
            ValueError: `holdout_percent` is out of bounds.
        """
        if not 1 <= holdout_percent <= 99:
            raise ValueError(f"holdout_percent is {holdout_percent}; expected 1 to 99.")
        # The parent's constructor makes its own spec, which has no room for code_version.
        super(FileBasedExampleGen, self).__init__(
            spec=fill(
                CoverageExampleGenSpec,
                input_base=input_base,
                input_config=_input_config(),
                output_config=_output_config(holdout_percent),
                output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
                output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
                privacy=privacy,
                code_version=code_version,
            )
        )


def _input_config() -> example_gen_pb2.Input:
    return example_gen_pb2.Input(
        splits=[example_gen_pb2.Input.Split(name="coverage", pattern=_DATA_FILES)]
    )


def _output_config(holdout_percent: int) -> example_gen_pb2.Output:
    # The executor puts each row into its own split; rows that were never assigned one are spread
    # over seed and holdout by these shares. TFX wants a bucket for each split, so test has one.
    shares = {SEED_SPLIT: 100 - holdout_percent, HOLDOUT_SPLIT: holdout_percent, TEST_SPLIT: 1}
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[
                example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share)
                for name, share in shares.items()
            ]
        )
    )
