"""The LLMEvaluator component."""

from typing import ClassVar

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.component_spec import ComponentSpec

from components.artifacts import CoverageReport, Responses
from components.llm_evaluator import executor
from components.specs import channels, fill, properties


class LLMEvaluatorSpec(ComponentSpec):
    """Inputs, outputs and execution properties of LLMEvaluator."""

    PARAMETERS: ClassVar = properties(
        "service_llm",
        "judge_llm",
        "embedder",
        "settings",
        "task",
        "journal_uri",
        "report_uri",
        "labels_version",
        "code_version",
        round=int,
        looks=int,
    )
    INPUTS: ClassVar = channels(
        "base_responses",
        "few_shot_responses",
        responses=Responses,
        base_responses=Responses,
        few_shot_responses=Responses,
    )
    OUTPUTS: ClassVar = channels(report=CoverageReport, blessing=standard_artifacts.ModelBlessing)


class LLMEvaluator(BaseComponent):
    """Let the service LLM judge responses, and bless the model that covers enough prompts.

    Outputs:
        report: `components.CoverageReport`: the coverage rate in percent, `coverage_report.json`,
            `verdicts.jsonl` and `evaluation.html`, which shows every prompt with all answers. The
            split `test` is judged where the gate passes, or with `looks`; `test_verdicts.jsonl`
            then holds its verdicts.
        blessing: `ModelBlessing` with the custom properties `blessed` (1 or 0) and `reasons`.
    """

    SPEC_CLASS = LLMEvaluatorSpec
    EXECUTOR_SPEC = ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        responses: BaseChannel,
        *,
        service_llm: str | RuntimeParameter,
        settings: str | RuntimeParameter,
        task: str | RuntimeParameter,
        journal_uri: str | RuntimeParameter,
        round: int | RuntimeParameter,
        base_responses: BaseChannel | None = None,
        few_shot_responses: BaseChannel | None = None,
        judge_llm: str | RuntimeParameter = "",
        embedder: str | RuntimeParameter = "",
        report_uri: str | RuntimeParameter = "",
        labels_version: str | RuntimeParameter = "",
        code_version: str | RuntimeParameter = "",
        looks: int | RuntimeParameter = 0,
    ) -> None:
        """Construct the component.

        Args:
            responses: The tuned model's Responses.
            service_llm: JSON of the `ServiceLLMSettings` of the service that is taken over; its
                answers are the baseline `service`.
            settings: JSON of an `EvaluatorSettings`.
            task: JSON of a `Task`.
            journal_uri: Folder or `gs://` URI where replies of the service LLM are kept.
            round: Number of the round, from 1.
            base_responses: The untuned model's Responses, judged the same way.
            few_shot_responses: The untuned model's Responses with seeds in its prompts, likewise.
            judge_llm: JSON of the judge's `ServiceLLMSettings`; empty where the service LLM judges.
            embedder: JSON of an `EmbedderSettings`, the model of the scorer `embedding`; empty for
                none.
            report_uri: The CoverageReport of the round before, to compare with; empty for none.
            labels_version: Content hash of the human labels, which TFX's cache cannot see.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.
            looks: Rounds of a loop that has ended and keeps this one, so that its test split is
                judged; 0 while the loop has not ended.
        """
        super().__init__(
            spec=fill(
                LLMEvaluatorSpec,
                responses=responses,
                base_responses=base_responses,
                few_shot_responses=few_shot_responses,
                service_llm=service_llm,
                judge_llm=judge_llm,
                embedder=embedder,
                settings=settings,
                task=task,
                journal_uri=journal_uri,
                round=round,
                report_uri=report_uri,
                labels_version=labels_version,
                code_version=code_version,
                looks=looks,
            )
        )
