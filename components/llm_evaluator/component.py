"""The LLMEvaluator component."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import CoverageReport, Responses
from components.llm_evaluator import executor
from components.llm_evaluator.executor import (
    BASE_RESPONSES_KEY,
    BLESSING_KEY,
    FEW_SHOT_RESPONSES_KEY,
    REPORT_KEY,
    RESPONSES_KEY,
)


class LLMEvaluatorSpec(ComponentSpec):
    """Inputs, outputs and execution properties of LLMEvaluator."""

    PARAMETERS = {  # noqa: RUF012  (TFX reads a plain dict)
        "service_llm": ExecutionParameter(type=str),
        "embedder": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "task": ExecutionParameter(type=str),
        "journal_uri": ExecutionParameter(type=str),
        "round": ExecutionParameter(type=int),
        "report_uri": ExecutionParameter(type=str),
        "labels_version": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        RESPONSES_KEY: ChannelParameter(type=Responses),
        BASE_RESPONSES_KEY: ChannelParameter(type=Responses, optional=True),
        FEW_SHOT_RESPONSES_KEY: ChannelParameter(type=Responses, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        REPORT_KEY: ChannelParameter(type=CoverageReport),
        BLESSING_KEY: ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class LLMEvaluator(base_component.BaseComponent):
    """Lets the service LLM judge responses, and blesses the model that covers enough prompts.

    Outputs:
        report: `components.CoverageReport`: the coverage rate in percent, `coverage_report.json`,
            `verdicts.jsonl` and `evaluation.html`, which shows every prompt with all answers.
        blessing: `ModelBlessing` with the custom properties `blessed` (1 or 0) and `reasons`.
    """

    SPEC_CLASS = LLMEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        responses: channel.BaseChannel,
        *,
        service_llm: str | RuntimeParameter,
        settings: str | RuntimeParameter,
        task: str | RuntimeParameter,
        journal_uri: str | RuntimeParameter,
        round: int | RuntimeParameter,
        base_responses: channel.BaseChannel | None = None,
        few_shot_responses: channel.BaseChannel | None = None,
        embedder: str | RuntimeParameter = "",
        report_uri: str | RuntimeParameter = "",
        labels_version: str | RuntimeParameter = "",
        code_version: str | RuntimeParameter = "",
    ) -> None:
        """Builds the component.

        Args:
            responses: The tuned model's Responses.
            service_llm: JSON of the judge's `ServiceLLMSettings`.
            settings: JSON of an `EvaluatorSettings`.
            task: JSON of a `Task`.
            journal_uri: Folder or `gs://` URI where replies of the service LLM are kept.
            round: Number of the round, from 1.
            base_responses: The untuned model's Responses, judged the same way.
            few_shot_responses: The untuned model's Responses with seeds in its prompts, likewise.
            embedder: JSON of an `EmbedderSettings`, the model of the scorer `embedding`; empty for
                none.
            report_uri: The CoverageReport of the round before, to compare with; empty for none.
            labels_version: Content hash of the human labels, which TFX's cache cannot see.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.
        """
        optional = {BASE_RESPONSES_KEY: base_responses, FEW_SHOT_RESPONSES_KEY: few_shot_responses}
        super().__init__(
            spec=LLMEvaluatorSpec(
                **{RESPONSES_KEY: responses},
                **{key: given for key, given in optional.items() if given is not None},
                **{
                    REPORT_KEY: channel.Channel(type=CoverageReport),
                    BLESSING_KEY: channel.Channel(type=standard_artifacts.ModelBlessing),
                },
                service_llm=service_llm,
                embedder=embedder,
                settings=settings,
                task=task,
                journal_uri=journal_uri,
                round=round,
                report_uri=report_uri,
                labels_version=labels_version,
                code_version=code_version,
            )
        )
