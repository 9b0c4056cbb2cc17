"""The component Trainer: TFX's, with hyperparameters and the URI of a model to start from."""

from typing import ClassVar

from tfx.components.trainer.component import Trainer as StockTrainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.standard_component_specs import TrainerSpec as StockTrainerSpec
from tfx.utils import json_utils

from components.specs import properties
from components.trainer import executor
from components.trainer.executor import HPARAMS_KEY, PRESET_KEY, WARM_START_URI_KEY


class TrainerSpec(StockTrainerSpec):
    """TFX's inputs, outputs and parameters, the hyperparameters, and the model to start from."""

    PARAMETERS: ClassVar = {
        **StockTrainerSpec.PARAMETERS,
        **properties(HPARAMS_KEY, WARM_START_URI_KEY),
    }


class Trainer(StockTrainer):
    """TFX's Trainer for a loop of rounds, which knows an earlier model by its URI.

    TFX's own `base_model` is a channel, and no node of a round's DAG has made the models of the
    rounds before: what Vertex AI offers in its place is the latest model, not the best one.

    Outputs:
        model: What `run_fn` has written.
        model_run: Its logs.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        run_fn: str,
        examples: BaseChannel,
        transform_graph: BaseChannel,
        preset: str,
        hparams: str | RuntimeParameter,
        custom_config: dict[str, str],
        warm_start_uri: str | RuntimeParameter = "",
    ) -> None:
        """Construct the component.

        Args:
            run_fn: Dotted name of the function that trains on the splits `train` and `eval`.
            examples: Transformed Examples.
            transform_graph: Transform's graph.
            preset: The base model that the examples were made for.
            hparams: The hyperparameters as JSON; their `preset` must be the one above. `run_fn`
                finds them as `fn_args.custom_config["hparams"]`.
            custom_config: What else `run_fn` finds there.
            warm_start_uri: The Model of an earlier round, which `run_fn` finds as
                `fn_args.base_model`; empty for none.
        """
        spec = TrainerSpec(
            examples=examples,
            transform_graph=transform_graph,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
            run_fn=run_fn,
            custom_config=json_utils.dumps({**custom_config, PRESET_KEY: preset}),
            hparams=hparams,
            warm_start_uri=warm_start_uri,
            model=Channel(type=standard_artifacts.Model),
            model_run=Channel(type=standard_artifacts.ModelRun),
        )
        # StockTrainer.__init__ builds its own spec, which does not know the URI.
        BaseComponent.__init__(self, spec=spec)
