"""The tuned models of several presets: their servers, and the tasks that the gateway answers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pydantic

from core.errors import UserError
from core.terminal import write_error
from core.text import Say
from serving.gateway.task import ServedTask, TokenCounter
from serving.model.engine import EngineError
from serving.model.plan import ModelPlan, plan_model, read_key
from serving.model.supervisor import ModelSupervisor
from serving.model.threshold import known_threshold
from serving.model.tokens import ServerTokenizer, TrainedTokenizer
from serving.model.verify import check_answers
from serving.preset import ServedPreset

_START_SECONDS = 120.0  # a large model, from a slow disk
_SAMPLES = 5
_HASH_DIGITS = 8
# Tokens of an answer and of the context where neither a run on this machine nor the server says it.
_UNKNOWN_OUTPUT_TOKENS = 1024
_UNKNOWN_CONTEXT = 4096

OnState = Callable[[str, bool, str], None]


class _Running(NamedTuple):
    task: ServedTask
    supervisor: ModelSupervisor


class TunedModels:
    """Starts and stops the tuned models of presets; a `serving.gateway.app.ModelHost`.

    Args:
        presets: In the order in which their tasks are matched.
        on_state: Called with a task's name, whether its model answers, and why, at each change.
        say: Takes what a person is to know before something takes long.
    """

    def __init__(
        self,
        presets: Sequence[ServedPreset],
        on_state: OnState = lambda task, ready, reason: None,
        say: Say = write_error,
    ) -> None:
        self._presets = presets
        self._on_state = on_state
        self._say = say
        self._running: list[_Running] = []

    async def load(self, round: int | None) -> Sequence[ServedTask]:
        """Start the models of a round alongside those that answer now.

        Args:
            round: The round; None for the best one of each preset.

        Returns:
            A task for each preset.

        Raises:
            UserError: There is no such round, or a model does not start or answers otherwise than
                at its evaluation. What was started is stopped again.
        """
        started: list[_Running] = []
        try:
            for preset in self._presets:
                plan = await plan_model(preset, round, self._say)
                started.append(await self._start(preset, plan))
        except BaseException:
            for running in started:
                await running.supervisor.stop()
            raise
        self._running += started
        return [running.task for running in started]

    async def retire(self, tasks: Sequence[ServedTask]) -> None:
        """Stop the servers of tasks that are served no longer."""
        # Not by URL: another's server may answer for the new tasks, too.
        counters = {id(task.count_tokens) for task in tasks}
        retired = [
            running for running in self._running if id(running.task.count_tokens) in counters
        ]
        self._running = [running for running in self._running if running not in retired]
        for running in retired:
            await running.supervisor.stop()

    async def close(self) -> None:
        """Stop all servers at once; what they still compute is lost."""
        for running in self._running:
            await running.supervisor.stop()
        self._running.clear()

    def pids(self, task_name: str) -> list[int | None]:
        """Return the processes that serve a task, the newest last; None for a server by URL."""
        return [r.supervisor.pid for r in self._running if r.task.name == task_name]

    async def restart(self, task_name: str) -> None:
        """Restart the servers of a task; without effect on another's server."""
        for running in self._running:
            if running.task.name == task_name:
                await running.supervisor.restart()

    def is_ready(self, task_name: str) -> bool:
        """Whether a task's newest model answers."""
        ready = [r.supervisor.is_ready for r in self._running if r.task.name == task_name]
        return bool(ready) and ready[-1]

    async def _start(self, preset: ServedPreset, plan: ModelPlan) -> _Running:
        supervisor = ModelSupervisor(
            plan.engine,
            plan.spec,
            plan.log,
            on_state=lambda ready, reason: self._on_state(preset.task.name, ready, reason),
        )
        await supervisor.start(_START_SECONDS)
        try:
            if plan.kept and (answered := plan.kept.answered()):
                await check_answers(plan.engine, answered[:_SAMPLES], plan.kept)
            task = await _served_task(preset, plan, self._say)
        except EngineError as error:
            await supervisor.stop()
            raise UserError(
                f"The tuned model of {preset.task.name} cannot be used: {error}"
            ) from error
        except BaseException:
            await supervisor.stop()
            raise
        return _Running(task, supervisor)


async def _served_task(preset: ServedPreset, plan: ModelPlan, say: Say) -> ServedTask:
    engine, settings = plan.engine, preset.settings
    key = read_key(settings.model.api_key_env)
    task = ServedTask(
        name=preset.task.name,
        instruction=preset.task.instruction,
        accepted_instructions=settings.accepted_instructions,
        match=settings.match,
        template=settings.template,
        model_alias=settings.model_alias,
        output_schema=preset.output_schema,
        contract=preset.contract,
        privacy=preset.privacy,
        model=f"the tuned model of {preset.task.title}",
        round=plan.kept.round if plan.kept else 0,
        hash=plan.digest[:_HASH_DIGITS],
        base_url=f"{engine.url}/v1",
        api_model=engine.model,
        api_key=pydantic.SecretStr(key or ""),
        context_length=await engine.context_length() or _UNKNOWN_CONTEXT,
        max_output_tokens=plan.kept.max_output_tokens if plan.kept else _UNKNOWN_OUTPUT_TOKENS,
        count_tokens=await _counter(plan, key),
        turn_markers=plan.turn_markers,
        learned_turns=preset.learned_turns,
        slots=settings.model.slots,
        samples=tuple(row.prompt for row in preset.sent_coverage[:_SAMPLES]),
        measures_confidence=settings.confidence.enabled,
    )
    threshold = known_threshold(preset, task.model_version, task.slots, say)
    return task.model_copy(update={"min_confidence": threshold})


async def _counter(plan: ModelPlan, key: str | None) -> TokenCounter:
    if plan.kept and TrainedTokenizer.exists(plan.kept.model_dir):
        return TrainedTokenizer(plan.kept.model_dir)
    engine = plan.engine
    return ServerTokenizer(engine.url, engine.model, await engine.kind(), key)
