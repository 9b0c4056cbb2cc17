"""The ResponseGen component."""

from typing import ClassVar

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.component_spec import ComponentSpec

from components.artifacts import Responses
from components.response_gen import executor
from components.specs import channels, fill, properties


class ResponseGenSpec(ComponentSpec):
    """Inputs, outputs and execution properties of ResponseGen."""

    PARAMETERS: ClassVar = properties(
        "generate_fn", "settings", "preset", "max_prompts", "sample", "splits", "code_version"
    )
    INPUTS: ClassVar = channels(
        "model", coverage=standard_artifacts.Examples, model=standard_artifacts.Model
    )
    OUTPUTS: ClassVar = channels(responses=Responses)


class ResponseGen(BaseComponent):
    """Let a model answer every coverage prompt.

    It is a component of its own so that a change of the judge does not generate again. Used more
    than once in a pipeline, give each its id: `.with_id("BaseResponseGen")`.

    Outputs:
        responses: `components.Responses`, `responses.jsonl` sorted by id.
    """

    SPEC_CLASS = ResponseGenSpec
    EXECUTOR_SPEC = ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        coverage: BaseChannel,
        generate_fn: str | RuntimeParameter,
        settings: str | RuntimeParameter,
        *,
        model: BaseChannel | None = None,
        preset: str | RuntimeParameter = "",
        max_prompts: str = "",
        sample: str = "",
        splits: str = "",
        code_version: str | RuntimeParameter = "",
    ) -> None:
        """Construct the component.

        Args:
            coverage: Examples with the splits `seed` and `holdout`, and `test`, which only a
                trained model answers.
            generate_fn: Dotted name of the function that generates, such as
                `models.generation.generate.generate_fn`.
            settings: JSON of a `GenerationSettings`.
            model: The Model that the Trainer wrote; None for a base model.
            preset: The base model where `model` is None, as the generate function understands it.
            max_prompts: Prompts of each split that are judged at most; empty for all.
            sample: Of these, prompts of each split that are answered at most; empty for all.
            splits: Splits whose prompts are answered, separated by commas; empty for all, without
                `test` for a base model.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.
        """
        super().__init__(
            spec=fill(
                ResponseGenSpec,
                coverage=coverage,
                model=model,
                generate_fn=generate_fn,
                settings=settings,
                preset=preset,
                max_prompts=max_prompts,
                sample=sample,
                splits=splits,
                code_version=code_version,
            )
        )
