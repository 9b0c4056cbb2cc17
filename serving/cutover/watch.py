"""Looks at the service and the tuned model on a schedule: `understudy watch`."""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from core.errors import UserError
from core.records import HOLDOUT_SPLIT, CoverageRow, ResponseRow
from core.reports.watch import WatchLook, WatchRate, WatchReport, same_model, same_service
from core.text import duration
from core.usage import Usage
from judging.control_chart import drift
from judging.pairs import PairScore
from judging.requests import JudgedResponse, RequestBuilder, example_pool
from judging.schemas import Answer
from service_llm.errors import ServiceLLMError
from service_llm.types import ServiceClient
from serving.cutover.kept_walk import Now, utc_now
from serving.preset import ServedPreset
from serving.running import RefusedError

SWAPPED, SERVICE_DRIFT, MODEL_DRIFT = "service_swapped", "service_drift", "model_drift"
_BUDGET_DAYS = 30


class Gateway(Protocol):
    """A running gateway; `serving.running.RunningGateway`."""

    def post(self, name: str, values: Mapping[str, object]) -> dict[str, Any]:
        """Ask for something."""


class Scorer(Protocol):
    """Scores answers; `serving.cutover.scoring.PairScorer`."""

    def score(self, pairs: Sequence[JudgedResponse]) -> list[PairScore]:
        """Score pairs."""

    def used(self) -> Usage:
        """Return what the judge used."""


class Answers(NamedTuple):
    """What was answered, by the coverage row's id, and by whom; empty where there was no answer."""

    texts: dict[str, str]
    versions: tuple[str, ...] = ()
    cost_usd: float | None = 0.0
    round: int | None = None
    model_version: str | None = None


class Watch:
    """Looks, and says what is wrong.

    Args:
        preset: With its coverage rows.
        service: The service LLM.
        scorer: Scores the answers against the references.
        gateway: Has the tuned model, and shows the alarms.
        report: The looks before.
        now: Tells the time.
    """

    def __init__(
        self,
        preset: ServedPreset,
        *,
        service: ServiceClient,
        scorer: Scorer,
        gateway: Gateway,
        report: WatchReport,
        now: Now = utc_now,
    ) -> None:
        assert preset.judging is not None
        self._preset = preset
        self._service = service
        self._scorer = scorer
        self._gateway = gateway
        self._now = now
        self._settings = preset.settings.watch
        self._builder = RequestBuilder(preset.task, preset.judging.evaluator, salt=b"watch")
        self.report = report

    def spent_usd(self) -> float:
        """Return what the looks of the last 30 days cost; unknown prices count as nothing."""
        since = (self._now() - datetime.timedelta(days=_BUDGET_DAYS)).isoformat()
        return sum(look.cost_usd or 0.0 for look in self.report.looks if look.time >= since)

    def look(self) -> WatchLook:
        """Ask the prompts of both, score the answers, and raise or clear the alarms.

        Raises:
            UserError: The budget is spent, there is no holdout, or a service fails.
        """
        if (spent := self.spent_usd()) >= self._settings.budget_usd:
            raise UserError(
                f"The looks of the last {_BUDGET_DAYS} days have cost ${spent:.2f}, and "
                f"serving.watch.budget_usd is {self._settings.budget_usd:g}. Raise it, or ask "
                "fewer prompts (serving.watch.prompts)."
            )
        rows = [row for row in self._preset.coverage if row.split == HOLDOUT_SPLIT]
        rows = sorted(rows, key=lambda row: row.id)[: self._settings.prompts]
        if not rows:
            raise UserError(f"The coverage dataset of {self._preset.preset} has no holdout row.")
        before = self._scorer.used().cost_usd
        model = self._ask_model(rows)  # first: it costs nothing, and the gateway may be gone
        service = self._ask_service(rows)
        rates = [self._rate(rows, answers.texts) for answers in (service, model)]
        judged = _difference(self._scorer.used().cost_usd, before)
        known = service.cost_usd is not None and judged is not None
        look = WatchLook(
            time=self._now().isoformat(timespec="seconds"),
            service=rates[0],
            service_versions=service.versions,
            model=rates[1],
            round=model.round,
            model_version=model.model_version,
            cost_usd=(service.cost_usd or 0.0) + (judged or 0.0) if known else None,
            alarms=(),
        )
        alarms = find_alarms([*self.report.looks, look])
        look = look.model_copy(update={"alarms": tuple(alarms.values())})
        self.report = self.report.model_copy(update={"looks": (*self.report.looks, look)})
        for name in (SWAPPED, SERVICE_DRIFT, MODEL_DRIFT):
            text = alarms.get(name, "as usual")
            self._gateway.post("alarm", {"name": name, "raised": name in alarms, "text": text})
        return look

    def _ask_service(self, rows: Sequence[CoverageRow]) -> Answers:
        shown = [
            ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, "", "stop")
            for row in self._preset.coverage
        ]
        pool = example_pool(shown)
        by_id = {row.id: row for row in shown}
        number = len(self.report.looks)  # so that no answer comes from the journal
        requests = [
            dataclasses.replace(self._builder.answer(by_id[row.id], pool, tag=row.id), index=number)
            for row in rows
        ]
        # What it refuses, or answers unreadably, covers nothing.
        texts = dict.fromkeys((row.id for row in rows), "")
        versions: set[str] = set()
        cost: float | None = 0.0
        for result in self._service.map(requests):
            if isinstance(result.value, Answer):
                texts[result.request.tag] = result.value.output
            if result.model_version:
                versions.add(result.model_version)
            price = result.usage.cost_usd
            cost = None if cost is None or price is None else cost + price
        return Answers(texts, tuple(sorted(versions)), cost)

    def _ask_model(self, rows: Sequence[CoverageRow]) -> Answers:
        texts = dict.fromkeys((row.id for row in rows), "")
        found: dict[str, Any] = {}
        for row in rows:
            values = {"task": self._preset.task.name, "text": row.prompt}
            with contextlib.suppress(RefusedError):
                found = self._gateway.post("sample", values)
                texts[row.id] = str(found["text"])
        return Answers(texts, round=found.get("round"), model_version=found.get("model_version"))

    def _rate(self, rows: Sequence[CoverageRow], texts: Mapping[str, str]) -> WatchRate:
        answered = [row for row in rows if texts[row.id].strip()]
        pairs = [JudgedResponse(row.prompt, row.output, texts[row.id]) for row in answered]
        scores = [score for score in self._scorer.score(pairs) if score.scored]
        covered, missing = sum(score.covered for score in scores), len(rows) - len(answered)
        return WatchRate(covered=covered, total=len(scores) + missing)


def look_on(
    look: Callable[[], None],
    every_seconds: float,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look again and again; a service LLM that fails ends its look, not the watch.

    Args:
        look: One look, to its page.
        every_seconds: Seconds between two.
        say: Takes what went wrong, as one line.
        sleep: Waits that many seconds.

    Raises:
        UserError: The next look would fail too: the budget is spent, or no gateway answers.
    """
    while True:
        try:
            look()
        except ServiceLLMError as error:
            say(f"This look failed: {error} The next is in {duration(every_seconds)}.")
        sleep(every_seconds)


def find_alarms(looks: Sequence[WatchLook]) -> dict[str, str]:
    """Return what is wrong at the newest look, by the alarm's name.

    Rates before the service was swapped, or the model exchanged, say nothing about those after.
    """
    newest = looks[-1]
    alarms: dict[str, str] = {}
    # A look without an answer that says its model names no other one.
    named = [look for look in looks if look.service_versions]
    if named[-1:] == [newest] and newest.service_versions != named[-2:][0].service_versions:
        old, new = (", ".join(look.service_versions) for look in named[-2:])
        alarms[SWAPPED] = (
            f"the service answers with {new}, and answered with {old} before. Run understudy "
            "verdict again once there are new pairs: those with the old version will not count"
        )
    if text := drift(service_counts(looks)):
        alarms[SERVICE_DRIFT] = f"the service has drifted: {text}"
    if text := drift(model_counts(looks)):
        alarms[MODEL_DRIFT] = f"the tuned model has drifted: {text}"
    return alarms


def service_counts(looks: Sequence[WatchLook]) -> list[tuple[int, int]]:
    """Return covered and all prompts of each look at the service that answers now."""
    return [(look.service.covered, look.service.total) for look in same_service(looks)]


def model_counts(looks: Sequence[WatchLook]) -> list[tuple[int, int]]:
    """Return covered and all prompts of each look at the tuned model that answers now."""
    return [(look.model.covered, look.model.total) for look in same_model(looks)]


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
