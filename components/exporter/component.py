"""The Exporter component."""

from typing import ClassVar

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.component_spec import ComponentSpec

from components.artifacts import Exports
from components.exporter import executor
from components.specs import channels, fill, properties


class ExporterSpec(ComponentSpec):
    """Inputs, outputs and execution properties of Exporter."""

    PARAMETERS: ClassVar = properties("export_fn", "hparams", "code_version")
    INPUTS: ClassVar = channels(
        model=standard_artifacts.Model,
        model_blessing=standard_artifacts.ModelBlessing,
        examples=standard_artifacts.Examples,
    )
    OUTPUTS: ClassVar = channels(exports=Exports)


class Exporter(BaseComponent):
    """Write a blessed model in further formats, each loaded again and compared with the model.

    It is a component of its own so that a change of a format trains and judges nothing again, and
    a model that is not blessed costs no export.

    Outputs:
        exports: `components.Exports`, empty where the model is not blessed.
    """

    SPEC_CLASS = ExporterSpec
    EXECUTOR_SPEC = ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        model_blessing: BaseChannel,
        examples: BaseChannel,
        export_fn: str,
        hparams: str | RuntimeParameter,
        code_version: str = "",
    ) -> None:
        """Construct the component.

        Args:
            model: The Trainer's Model.
            model_blessing: LLMEvaluator's ModelBlessing of it.
            examples: The transformed Examples that it was trained on.
            export_fn: Dotted name of the function that exports, such as
                `models.export.exports.export_fn`.
            hparams: The hyperparameters as JSON; `exports` and `gguf_type` are read.
            code_version: Content hash of the code; a new one makes TFX's cache run it again.
        """
        super().__init__(
            spec=fill(
                ExporterSpec,
                model=model,
                model_blessing=model_blessing,
                examples=examples,
                export_fn=export_fn,
                hparams=hparams,
                code_version=code_version,
            )
        )
