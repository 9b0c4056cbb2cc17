"""The ResponseGen component."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Responses
from components.response_gen import executor
from components.response_gen.executor import COVERAGE_KEY, MODEL_KEY, RESPONSES_KEY


class ResponseGenSpec(ComponentSpec):
    """Inputs, outputs and execution properties of ResponseGen."""

    PARAMETERS = {  # noqa: RUF012  (TFX reads a plain dict)
        "generate_fn": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "preset": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        COVERAGE_KEY: ChannelParameter(type=standard_artifacts.Examples),
        MODEL_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        RESPONSES_KEY: ChannelParameter(type=Responses),
    }


class ResponseGen(base_component.BaseComponent):
    """Lets a model answer every coverage prompt.

    It is a component of its own so that a change of the judge does not generate again. Used more
    than once in a pipeline, give each its id: `.with_id("BaseResponseGen")`.

    Outputs:
        responses: `components.Responses`, `responses.jsonl` sorted by id.
    """

    SPEC_CLASS = ResponseGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        coverage: channel.BaseChannel,
        generate_fn: str | RuntimeParameter,
        settings: str | RuntimeParameter,
        *,
        model: channel.BaseChannel | None = None,
        preset: str | RuntimeParameter = "",
        code_version: str | RuntimeParameter = "",
    ) -> None:
        """Builds the component.

        Args:
            coverage: Examples with the splits `seed` and `holdout`.
            generate_fn: Dotted path of the function that generates, such as
                `models.generate.generate_fn`.
            settings: JSON of a `GenerationSettings`.
            model: The Model that the Trainer wrote; None for a base model.
            preset: The base model where `model` is None, as the generate function understands it.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.
        """
        super().__init__(
            spec=ResponseGenSpec(
                **{COVERAGE_KEY: coverage, RESPONSES_KEY: channel.Channel(type=Responses)},
                **({MODEL_KEY: model} if model is not None else {}),
                generate_fn=generate_fn,
                settings=settings,
                preset=preset,
                code_version=code_version,
            )
        )
