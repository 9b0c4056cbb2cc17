"""The SynthDataGen component: its inputs, outputs and parameters."""

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples

from components.synth_data_gen import executor


class SynthDataGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of SynthDataGen."""

    INPUTS = {executor.COVERAGE_KEY: ChannelParameter(type=Examples)}  # noqa: RUF012
    OUTPUTS = {executor.SYNTHETIC_KEY: ChannelParameter(type=Examples)}  # noqa: RUF012
    PARAMETERS = {  # noqa: RUF012
        executor.SERVICE_LLM_KEY: ExecutionParameter(type=str),
        executor.EMBEDDER_KEY: ExecutionParameter(type=str),
        executor.SETTINGS_KEY: ExecutionParameter(type=str),
        executor.TASK_KEY: ExecutionParameter(type=str),
        executor.JOURNAL_URI_KEY: ExecutionParameter(type=str),
        executor.ROUND_KEY: ExecutionParameter(type=int),
        executor.HISTORY_URI_KEY: ExecutionParameter(type=str),
        executor.REPORT_URI_KEY: ExecutionParameter(type=str),
        executor.CODE_VERSION_KEY: ExecutionParameter(type=str),
    }


class SynthDataGen(BaseBeamComponent):
    """Generates synthetic prompts and outputs with the service LLM, cumulatively over rounds.

    Outputs:
        synthetic: `Examples`, splits `train` and `eval`, the rows of all rounds so far. Beside the
            splits: `synthesis.json` (counts and usage), `quarantine.jsonl` (what was dropped, and
            why), `attributes.yaml` (what the plan drew from), `README.md` and `index.html`
            (dataset card and page).

    Args:
        coverage: `Examples` with the splits `seed` and `holdout`.
        service_llm: `ServiceLLMSettings` as JSON.
        embedder: `EmbedderSettings` as JSON; empty for no embedding model.
        settings: `SynthSettings` as JSON.
        task: `Task` as JSON.
        journal_uri: Folder of the journal in which paid replies are kept.
        round: The round, from 1. Each round draws another plan.
        history_uri: URI of the `synthetic` output of the round before; empty in the first.
        report_uri: URI of the last `CoverageReport`, to aim at what failed; empty for no aim.
        code_version: Hash of the code; a change makes cached outputs invalid.

    Raises:
        UserError: While running: the filters left too little to train on, or the service LLM
            cannot be used.
    """

    SPEC_CLASS = SynthDataGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        coverage: BaseChannel,
        *,
        service_llm: str,
        settings: str,
        task: str,
        journal_uri: str,
        round: int,
        history_uri: str = "",
        report_uri: str = "",
        code_version: str = "",
        embedder: str = "",
    ) -> None:
        super().__init__(
            SynthDataGenSpec(
                coverage=coverage,
                service_llm=service_llm,
                embedder=embedder,
                settings=settings,
                task=task,
                journal_uri=journal_uri,
                round=round,
                history_uri=history_uri,
                report_uri=report_uri,
                code_version=code_version,
                synthetic=Channel(type=Examples),
            )
        )
