"""The SynthDataGen component: its inputs, outputs and parameters."""

from typing import ClassVar

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel
from tfx.types.component_spec import ComponentSpec
from tfx.types.standard_artifacts import Examples

from components.specs import channels, fill, properties
from components.synth_data_gen import executor


class SynthDataGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of SynthDataGen."""

    INPUTS: ClassVar = channels(coverage=Examples)
    OUTPUTS: ClassVar = channels(synthetic=Examples)
    PARAMETERS: ClassVar = properties(
        "service_llm",
        "embedder",
        "judge_llm",
        "settings",
        "task",
        "journal_uri",
        "history_uri",
        "report_uri",
        "paused_uri",
        "edits_uri",
        "edits_version",
        "privacy",
        "code_version",
        round=int,
    )


class SynthDataGen(BaseBeamComponent):
    """Generate synthetic prompts and outputs with the service LLM, cumulatively over rounds.

    Outputs:
        synthetic: `Examples`, splits `train` and `eval`, the rows of all rounds so far. Next to
            the splits: `synthesis.json` (counts and usage), `quarantine.jsonl` (dropped rows and
            the reasons), `attributes.yaml` (the values that the plan drew from), `README.md` and
            `index.html` (dataset card and page).

    Args:
        coverage: `Examples` with the splits `seed` and `holdout`.
        service_llm: `ServiceLLMSettings` as JSON.
        embedder: `EmbedderSettings` as JSON; empty for no embedding model.
        judge_llm: `ServiceLLMSettings` of the judge as JSON, for `leak_judge`; else empty.
        settings: `SynthSettings` as JSON.
        task: `Task` as JSON.
        journal_uri: Folder of the journal in which paid replies are kept.
        round: The round, from 1. Each round draws another plan.
        history_uri: URI of the `synthetic` output of the round before; empty in the first.
        report_uri: URI of the last `CoverageReport`, to aim at what failed; empty for no aim.
        paused_uri: URI of the `synthetic` output of this round before a person edited its rows;
            with it nothing is generated.
        edits_uri: The edited rows; see `edits`.
        edits_version: Hash of the edited rows, which TFX's cache cannot see through their path.
        privacy: `PrivacySettings` as JSON, for the edited rows; empty for the defaults.
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
        paused_uri: str = "",
        edits_uri: str = "",
        edits_version: str = "",
        privacy: str = "",
        code_version: str = "",
        embedder: str = "",
        judge_llm: str = "",
    ) -> None:
        super().__init__(
            fill(
                SynthDataGenSpec,
                coverage=coverage,
                service_llm=service_llm,
                embedder=embedder,
                judge_llm=judge_llm,
                settings=settings,
                task=task,
                journal_uri=journal_uri,
                round=round,
                history_uri=history_uri,
                report_uri=report_uri,
                paused_uri=paused_uri,
                edits_uri=edits_uri,
                edits_version=edits_version,
                privacy=privacy,
                code_version=code_version,
            )
        )
