"""The component HFPusher: TFX's Pusher with the Hugging Face Hub as its destination."""

from typing import ClassVar

from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.types.standard_component_specs import PusherSpec

from components.artifacts import CoverageReport, Exports
from components.hf_pusher import executor
from components.hf_pusher.credentials import has_token
from components.hf_pusher.executor import (
    CODE_VERSION_KEY,
    EXPORTS_KEY,
    PRIVACY_KEY,
    REPORT_KEY,
    ROUND_KEY,
    SETTINGS_KEY,
    SYNTHETIC_KEY,
    TASK_KEY,
)
from components.hf_pusher.settings import PushSettings


class HFPusherSpec(PusherSpec):
    """The stock Pusher's inputs, outputs and parameters, and those of the Hub."""

    PARAMETERS: ClassVar = {
        **PusherSpec.PARAMETERS,
        SETTINGS_KEY: ExecutionParameter(type=str),
        TASK_KEY: ExecutionParameter(type=str),
        PRIVACY_KEY: ExecutionParameter(type=str),
        ROUND_KEY: ExecutionParameter(type=int),
        CODE_VERSION_KEY: ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        **PusherSpec.INPUTS,
        EXPORTS_KEY: ChannelParameter(type=Exports),
        REPORT_KEY: ChannelParameter(type=CoverageReport),
        SYNTHETIC_KEY: ChannelParameter(type=standard_artifacts.Examples),
    }


class HFPusher(Pusher):
    """Pushes a blessed model with its card, evaluation, data and application.

    Outputs:
        pushed_model: PushedModel. `pushed.json` in its URI names the repositories, commits and the
            tag; nothing is written there when the model was not blessed.

    TFX's cache knows what was pushed, not what the Hub still holds: a repository that was deleted
    by hand comes back only with a new model or new settings.
    """

    SPEC_CLASS = HFPusherSpec
    EXECUTOR_SPEC = ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        model_blessing: BaseChannel,
        exports: BaseChannel,
        report: BaseChannel,
        synthetic: BaseChannel,
        settings: str,
        task: str,
        round: int | RuntimeParameter,
        privacy: str = "{}",
        code_version: str = "",
    ) -> None:
        """Construct the component.

        Args:
            model: The Trainer's Model.
            model_blessing: LLMEvaluator's ModelBlessing of it.
            exports: The Exporter's Exports of it.
            report: LLMEvaluator's CoverageReport of it.
            synthetic: SynthDataGen's Examples that it was trained on.
            settings: JSON of PushSettings.
            task: JSON of Task.
            round: Number of the round, from 1.
            privacy: JSON of PrivacySettings; by default nothing is redacted.
            code_version: Hash of the component's code; only there for TFX's cache.
        """
        spec = HFPusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=None,
            push_destination=None,
            custom_config=None,
            exports=exports,
            report=report,
            synthetic=synthetic,
            settings=_settled(settings),
            task=task,
            round=round,
            privacy=privacy,
            code_version=code_version,
            pushed_model=Channel(type=standard_artifacts.PushedModel),
        )
        # Pusher.__init__ builds its own spec, which knows neither the report nor the settings.
        BaseComponent.__init__(self, spec=spec)


def _settled(settings: str) -> str:
    # A token that turns up later must not be answered from the cache with the local push. Where the
    # token is known only inside the executor (Vertex), `auto` stays.
    parsed = PushSettings.model_validate_json(settings)
    if parsed.destination == "auto" and has_token(parsed):
        parsed = parsed.model_copy(update={"destination": "hub"})
    return parsed.model_dump_json()
