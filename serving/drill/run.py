"""A whole drill: every cell, the coverage of both, and how much the tuned model bears."""

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from core.errors import UserError
from core.records import HOLDOUT_SPLIT, CoverageRow
from serving.capture.settings import CaptureSettings
from serving.drill.cell import CellPlan, Tally, run_cell
from serving.drill.clients import Application, Reply, open_application
from serving.drill.faults import ADDRESS_ONLY, CONTRACT, FAULTS, STREAM_ONLY
from serving.drill.gateway import running_gateway
from serving.drill.options import DrillOptions
from serving.drill.page import say, say_plan, write_report
from serving.drill.proxy import FaultProxy
from serving.drill.record import AnsweredBy, Cell, Coverage, DrillReport, Protocol, Rate
from serving.drill.scoring import covered_rate
from serving.gateway.exchange import Exchange
from serving.gateway.task import ServedTask
from serving.model.gguf import SERVING_DIR
from serving.model.host import TunedModels
from serving.preset import ServedPreset
from serving.settings import ServingSettings

_COVERAGE_PROMPTS = 40
_LONGEST_SILENCE_SECONDS = 5.0  # that a drill waits for a stall, whatever the preset allows
_UNMATCHED = "unmatched:"
_NOWHERE = "http://service.invalid"  # never resolved: RFC 6761, section 6.4
_OUTAGE = "F6"


async def run_drill(preset: ServedPreset, options: DrillOptions) -> DrillReport:
    """Rehearse the outage; prints what happens, and writes `drill.json` and `drill.html`.

    Args:
        preset: Whose task, tuned model and service are rehearsed.
        options: How.

    Raises:
        UserError: There are no coverage prompts, or the tuned model does not start.
    """
    rows = [row for row in preset.sent_coverage if row.split == HOLDOUT_SPLIT][:_COVERAGE_PROMPTS]
    if not rows:
        raise UserError(
            f"There are no holdout rows to ask in the coverage dataset of {preset.preset!r}. A "
            "drill needs coverage_dir with a copy of the dataset."
        )
    log = preset.output_dir / SERVING_DIR / "drill.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    models = TunedModels([preset])
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as errors:
        try:
            (task,) = await models.load(None)
            # The alarms of every gateway would bury the table.
            with contextlib.redirect_stderr(errors):
                drill = _Drill(
                    preset=preset,
                    options=options,
                    models=models,
                    task=task,
                    rows=rows,
                    folder=Path(folder),
                )
                report = await drill.run()
        finally:
            await models.close()
    write_report(report, preset, drill.errors)
    return report


class _Drill:
    def __init__(
        self,
        *,
        preset: ServedPreset,
        options: DrillOptions,
        models: TunedModels,
        task: ServedTask,
        rows: Sequence[CoverageRow],
        folder: Path,
    ) -> None:
        assert preset.settings.service
        self._service = preset.settings.service
        self._settings = rehearsed(preset.settings)
        self._options = options
        self._models = models
        self._task = task
        self._rows = rows
        self._folder = folder
        self._tally = Tally(task.model_version)
        self._not_of_task = 0

    @property
    def errors(self) -> list[str]:
        """What the clients said of lost requests."""
        return self._tally.errors

    async def run(self) -> DrillReport:
        async with FaultProxy(self._service) as proxy:
            plans = self._plans()
            self._check_planned(plans)
            faults = len({plan.fault for plan in plans})
            seconds = self._options.seconds_of(len(plans), with_cold_model=self._can_cool)
            say_plan(len(plans), faults, seconds, with_cold_model=self._can_cool)
            service_rate = await self._covered_by_service(proxy)
            cells = [await self._cell(plan, proxy) for plan in plans]
            model_rate, sustained = await self._covered_by_model(proxy)
        tally = self._tally
        return DrillReport(
            requests=tally.requests,
            answered_by=AnsweredBy(service=tally.by_service, model=tally.by_model),
            lost=tally.lost,
            half_answers=tally.half,
            not_of_task=self._not_of_task,
            cells=tuple(cells),
            coverage=Coverage(service=service_rate, model=model_rate),
            sustained_requests_per_second=round(sustained, 2),
            peak_requests_per_second=self._options.peak,
        )

    @property
    def _can_cool(self) -> bool:
        is_ours = self._models.pids(self._task.name) != [None]
        return is_ours and self._options.with_cold_model

    def _plans(self) -> list[CellPlan]:
        protocols: tuple[Protocol, ...] = ("gemini", "openai")
        if self._service.provider == "openai":
            protocols = ("openai",)  # nothing is translated on the way to the service
        prompts = itertools.cycle([row.prompt for row in self._rows])
        has_contract = bool(self._task.contract or self._task.output_schema)
        return [
            CellPlan(
                fault,
                protocol,
                stream,
                [next(prompts) for _ in range(self._options.requests_per_cell)],
                self._options.rate,
            )
            for fault in self._options.faults
            for stream in (False, True)
            for protocol in protocols
            if (stream or fault not in STREAM_ONLY) and (has_contract or fault != CONTRACT)
        ]

    def _check_planned(self, plans: Sequence[CellPlan]) -> None:
        """Refuse faults that a user has named and that would not be tried.

        Raises:
            UserError: There are some.
        """
        missing = set(self._options.faults) - {plan.fault for plan in plans}
        if missing and self._options.faults != tuple(FAULTS):
            raise UserError(
                f"--faults names {', '.join(sorted(missing))}, an answer outside the task's form, "
                "and the form of this task is not known: it has no task.output_schema and fewer "
                "than 25 seeds of one form. Leave it out."
            )

    async def _cell(self, plan: CellPlan, proxy: FaultProxy) -> Cell:
        tally = Tally(self._task.model_version)
        url = proxy.base_url
        if plan.fault in ADDRESS_ONLY:
            # To a server without TLS, a handshake fails as to a broken one.
            url = _NOWHERE if plan.fault == "F2" else url.replace("http://", "https://")

        async def cool() -> None:
            await self._models.restart(self._task.name)

        async with self._application(plan.protocol, url) as application:
            cell = await run_cell(plan, proxy, application, tally, cool if self._can_cool else None)
        self._tally.merge(tally)
        say(cell)
        return cell

    @contextlib.asynccontextmanager
    async def _application(
        self, protocol: Protocol, service_url: str
    ) -> AsyncIterator[Application]:
        async with running_gateway(
            self._settings,
            self._task,
            service_url=service_url,
            state_dir=self._folder,
            on_exchange=self._note,
        ) as gateway:
            application = open_application(protocol, self._service, self._task, gateway)
            try:
                yield application
            finally:
                await application.close()

    def _note(self, exchange: Exchange) -> None:
        self._not_of_task += exchange.reason.startswith(_UNMATCHED)

    async def _covered_by_service(self, proxy: FaultProxy) -> Rate | None:
        protocol: Protocol = "openai" if self._service.provider == "openai" else "gemini"
        async with self._application(protocol, proxy.base_url) as application:
            replies = await self._ask_all(application, [row.prompt for row in self._rows])
        of_service = [reply.is_whole and not self._tally.is_of_model(reply) for reply in replies]
        if not any(of_service):
            return None
        return covered_rate(self._pairs(replies))

    async def _covered_by_model(self, proxy: FaultProxy) -> tuple[Rate, float]:
        """Return the model's coverage, and the answers a second that it sustains."""
        protocol: Protocol = "openai" if self._service.provider == "openai" else "gemini"
        async with self._application(protocol, proxy.base_url) as application:
            self._tally.add(await application.ask(self._rows[0].prompt, stream=False))
            await proxy.inject(_OUTAGE)
            prompts = [row.prompt for row in self._rows]
            began, answered = time.monotonic(), 0
            first = replies = await self._ask_all(application, prompts)
            while True:
                answered += sum(reply.is_whole for reply in replies)
                seconds = time.monotonic() - began
                if seconds >= self._options.sustain_seconds:
                    break
                replies = await self._ask_all(application, prompts)
            await proxy.clear()
        return covered_rate(self._pairs(first)), answered / seconds

    def _pairs(self, replies: Sequence[Reply]) -> list[tuple[str, str]]:
        """Return the reference and the answer of each row."""
        return [(row.output, reply.text) for row, reply in zip(self._rows, replies, strict=True)]

    async def _ask_all(self, application: Application, prompts: Sequence[str]) -> list[Reply]:
        """Ask as many at a time as keep the model's slots filled."""
        slots = asyncio.Semaphore(2 * self._task.slots)

        async def ask(prompt: str) -> Reply:
            async with slots:
                reply = await application.ask(prompt, stream=False)
            self._tally.add(reply)
            return reply

        return list(await asyncio.gather(*(ask(prompt) for prompt in prompts)))


def rehearsed(settings: ServingSettings) -> ServingSettings:
    """Return the settings of a drill: shorter waits, and no traffic that anybody would learn from.

    Args:
        settings: Of the preset.
    """
    first = settings.first_byte_seconds
    return settings.model_copy(
        update={
            "mode": "failover",
            "capture": CaptureSettings(),
            # Nothing was learned yet; the lower bound is what healthy answers would make of it.
            "first_byte_seconds": settings.first_byte_bounds.min_seconds
            if first == "auto"
            else first,
            "between_bytes_seconds": min(settings.between_bytes_seconds, _LONGEST_SILENCE_SECONDS),
        }
    )
