"""Looks at the service and the tuned model on a schedule: `understudy watch`."""

import contextlib
import dataclasses
import datetime
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from core.errors import UserError
from core.records import HOLDOUT_SPLIT, CoverageRow, ResponseRow
from core.reports.watch import (
    FailedLook,
    WatchLook,
    WatchRate,
    WatchReport,
)
from core.text import duration
from core.usage import Usage
from judging.examples import ExamplePool
from judging.pairs import PairScore
from judging.requests import JudgedResponse, RequestBuilder
from judging.schemas import Answer
from service_llm.errors import ServiceLLMError
from service_llm.types import ServiceClient
from serving.cutover.kept_walk import Now, utc_now
from serving.cutover.watch_alarms import ALARMS, find_alarms
from serving.preset import ServedPreset
from serving.running import GatewayAwayError, RefusedError

_BUDGET_DAYS = 30
_COSTLY = 5  # looks that show what the next one costs
_CENT_FRACTION = 1e-6  # sums of costs are not exact
_MARGIN_SECONDS = 10.0  # for what the gateway says itself of a model that hangs


class Gateway(Protocol):
    """A running gateway; `serving.running.RunningGateway`."""

    def post(
        self, name: str, values: Mapping[str, object], timeout_seconds: float = ...
    ) -> dict[str, Any]:
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
        keep: Writes the report down, before an alarm is raised.
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
        keep: Callable[[WatchReport], None],
        now: Now = utc_now,
    ) -> None:
        assert preset.judging is not None
        self._preset = preset
        self._service = service
        self._scorer = scorer
        self._gateway = gateway
        self._now = now
        self._keep = keep
        self._service_cost: float | None = 0.0  # of the present look
        self._settings = preset.settings.watch
        self._builder = RequestBuilder(preset.task, preset.judging.evaluator, salt=b"watch")
        self.report = report

    def spent_usd(self) -> float:
        """Return what the looks of the last 30 days cost; unknown prices count as nothing."""
        since = (self._now() - datetime.timedelta(days=_BUDGET_DAYS)).isoformat()
        costs = [(look.time, look.cost_usd) for look in self.report.looks]
        costs += [(look.time, look.cost_usd) for look in self.report.failed]
        return sum(cost or 0.0 for time, cost in costs if time >= since)

    def _check_budget(self, prompts: int) -> None:
        """Check that another look fits in the budget, as far as those before show its cost.

        Raises:
            UserError: It does not.
        """
        spent, budget = self.spent_usd(), self._settings.budget_usd
        looks = [look for look in self.report.looks[-_COSTLY:] if look.service.total]
        of_one = max(((look.cost_usd or 0.0) / look.service.total for look in looks), default=0.0)
        if spent < budget and spent + of_one * prompts <= budget + _CENT_FRACTION:
            return
        raise UserError(
            f"The checks of the last {_BUDGET_DAYS} days have cost ${spent:.2f}, and "
            f"serving.watch.budget_usd is {budget:g}: another one, about ${of_one * prompts:.2f}, "
            "would exceed it. Raise it, or ask fewer prompts (serving.watch.prompts)."
        )

    def look(self) -> WatchLook:
        """Ask the prompts of both, score the answers, and raise or clear the alarms.

        Where the gateway has gone meanwhile, the alarms are raised at the next look.

        Raises:
            UserError: The budget is spent, there is no holdout, or a service fails.
        """
        rows = [row for row in self._preset.sent_coverage if row.split == HOLDOUT_SPLIT]
        rows = sorted(rows, key=lambda row: row.id)[: self._settings.prompts]
        if not rows:
            raise UserError(f"The coverage dataset of {self._preset.preset} has no holdout row.")
        self._check_budget(len(rows))
        began, judged = self._now(), self._scorer.used().cost_usd
        self._service_cost = 0.0
        try:
            # The model first: it costs nothing, and the gateway may be gone.
            model, service = self._ask_model(rows), self._ask_service(rows, began)
            rates = [self._rate(rows, answers.texts) for answers in (service, model)]
        except BaseException:  # Ctrl-C, too: what was answered is paid for
            self._keep_failed(began, judged)
            raise
        look = WatchLook(
            time=_stamp(began),
            service=rates[0],
            service_versions=service.versions,
            model=rates[1],
            round=model.round,
            model_version=model.model_version,
            prompts=_digest(rows),
            cost_usd=self._cost_since(judged),
            alarms=(),
        )
        # What nobody has heard of yet is news, even if this look finds all as usual.
        alarms = dict(self.report.unsent) | find_alarms([*self.report.looks, look])
        look = look.model_copy(update={"alarms": tuple(alarms.values())})
        self._note(looks=(*self.report.looks, look), unsent=alarms)
        self._raise_alarms(alarms)
        return look

    def _raise_alarms(self, alarms: Mapping[str, str]) -> None:
        try:
            for name in ALARMS:
                self._gateway.post(
                    "alarm",
                    {
                        # Of this task: a gateway may serve others, which are watched, too.
                        "name": f"{name}:{self._preset.task.name}",
                        "raised": name in alarms,
                        "text": alarms.get(name, "as usual"),
                    },
                )
        except GatewayAwayError:
            return  # it may be restarting just now; they are kept
        if alarms:
            self._note(unsent={})

    def _keep_failed(self, began: datetime.datetime, judged: float | None) -> None:
        cost = self._cost_since(judged)
        if cost != 0:
            look = FailedLook(time=_stamp(began), cost_usd=cost)
            self._note(failed=(*self.report.failed, look))

    def _note(self, **values: object) -> None:
        self.report = self.report.model_copy(update=values)
        self._keep(self.report)

    def _cost_since(self, judged: float | None) -> float | None:
        """Return what a look has cost so far; None where a price is unknown.

        Args:
            judged: What the judge had cost before.
        """
        of_judge = _difference(self._scorer.used().cost_usd, judged)
        if of_judge is None or self._service_cost is None:
            return None
        return self._service_cost + of_judge

    def _ask_service(self, rows: Sequence[CoverageRow], began: datetime.datetime) -> Answers:
        shown = [
            ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, "", "stop")
            for row in self._preset.sent_coverage
        ]
        pool = ExamplePool(shown)
        by_id = {row.id: row for row in shown}
        number = int(began.timestamp())  # so that no answer of another look, even of one that
        # failed, comes from the journal
        requests = [
            dataclasses.replace(self._builder.answer(by_id[row.id], pool, tag=row.id), index=number)
            for row in rows
        ]
        # What it refuses, or answers unreadably, covers nothing.
        texts = dict.fromkeys((row.id for row in rows), "")
        versions: set[str] = set()
        for result in self._service.map(requests):
            if isinstance(result.value, Answer):
                texts[result.request.tag] = result.value.output
            if result.model_version:
                versions.add(result.model_version)
            cost, price = self._service_cost, result.usage.cost_usd
            self._service_cost = None if cost is None or price is None else cost + price
        return Answers(texts, tuple(sorted(versions)))

    def _ask_model(self, rows: Sequence[CoverageRow]) -> Answers:
        server = self._preset.settings.model
        # A model that hangs is one that fails, and the gateway says so once it has given it up.
        seconds = server.queue_seconds + server.timeout_seconds + _MARGIN_SECONDS
        texts = dict.fromkeys((row.id for row in rows), "")
        found: dict[str, Any] = {}
        for row in rows:
            values = {"task": self._preset.task.name, "text": row.prompt}
            with contextlib.suppress(RefusedError):
                found = self._gateway.post("sample", values, seconds)
                texts[row.id] = str(found["text"])
        return Answers(texts, round=found.get("round"), model_version=found.get("model_version"))

    def _rate(self, rows: Sequence[CoverageRow], texts: Mapping[str, str]) -> WatchRate:
        answered = [row for row in rows if texts[row.id].strip()]
        pairs = [JudgedResponse(row.prompt, row.output, texts[row.id]) for row in answered]
        scores = self._scorer.score(pairs)
        return WatchRate(
            covered=sum(score.covered for score in scores),
            total=len(rows),
            unscored=sum(not score.scored for score in scores),
        )


def look_on(
    look: Callable[[], None],
    every_seconds: float,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look again and again; a service LLM or a gateway that is away ends its look, not the watch.

    Args:
        look: One look, to its page.
        every_seconds: Seconds between two.
        say: Takes what went wrong, as one line.
        sleep: Waits that many seconds.

    Raises:
        UserError: The next look would fail too, as where the budget is spent.
    """
    while True:
        try:
            look()
        except (ServiceLLMError, GatewayAwayError) as error:
            say(f"This check failed: {error} The next is in {duration(every_seconds)}.")
        sleep(every_seconds)


def _digest(rows: Sequence[CoverageRow]) -> str:
    """Return what tells the prompts of a look, and their references, from others."""
    text = "\0".join(f"{row.id}\0{row.prompt}\0{row.output}" for row in rows)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _stamp(time: datetime.datetime) -> str:
    return time.isoformat(timespec="seconds")


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
