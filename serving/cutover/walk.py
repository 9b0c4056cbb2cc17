"""Walks a canary up, step by step, and goes back where a step does not hold."""

import datetime
from pathlib import Path

from core.captured import CapturedExchange
from core.errors import UserError
from core.reports.cutover import DONE, CutoverBefore, CutoverReport
from core.text import Say
from serving.cutover.gates import Gates, StepGate
from serving.cutover.heard import CapturedTraffic
from serving.cutover.kept_walk import Now, stamp, utc_now
from serving.cutover.pairs import capture_folder
from serving.cutover.tail import CaptureTail
from serving.cutover.walk_back import KeptWalk
from serving.cutover.walk_mode import CANARY, FAILOVER, Gateway, own_mode
from serving.cutover.walk_scores import JudgeFailedError, Scorer, WalkScores
from serving.preset import ServedPreset

_LONGEST_WITHOUT_GATE = datetime.timedelta(seconds=30)


class CutoverWalk(KeptWalk):
    """Walks a canary up.

    Args:
        preset: With what a step has to show, and where exchanges are captured.
        report: Where it begins, or where another process stopped.
        file: Where the report is kept.
        gateway: The gateway.
        scorer: Scores the answers of a pair.
        say: Prints a line.
        now: Tells the time.
    """

    def __init__(
        self,
        preset: ServedPreset,
        report: CutoverReport,
        file: Path,
        *,
        gateway: Gateway,
        scorer: Scorer,
        say: Say,
        now: Now = utc_now,
    ) -> None:
        super().__init__(report, file, gateway=gateway, say=say, now=now)
        settings = preset.settings
        self._gates = Gates(settings.cutover, settings.margin_points, len(report.steps))
        self._tail = CaptureTail(
            capture_folder(preset), preset.task.name, report.began, skips_damaged=True
        )
        self._walk: list[CapturedExchange] = []
        self._scores = WalkScores(scorer)
        self._said = ""
        self._damaged = 0
        self._traffic = CapturedTraffic(now)

    def begin(self) -> None:
        """Give the present step's share to the model, at the start and when resumed.

        A walk that was killed just after it had changed the mode is resumed from there: nobody
        who has come to the model leaves it, and nobody comes back to a model that was left.

        Raises:
            UserError: The gateway does not do it, or somebody else has set its mode meanwhile.
        """
        mode = self._mode.found(self.report)
        if self.report.events:
            if mode["mode"] == FAILOVER:
                self._end_back("the walk was ended while it went back")
                return
            if mode["canary_percent"] == self._next_percent():
                self._take_step()
        if self.report.before is None:
            before = CutoverBefore(**{name: mode[name] for name in CutoverBefore.model_fields})
            self.report = self.report.model_copy(update={"before": before})
        self._keep()  # or the first users would move, and nobody could resume
        percent = self.report.percent
        expected = {name: mode[name] for name in ("mode", "canary_percent")}
        self._mode.set(CANARY, percent, expected)
        self._note(f"the model answers {percent:g} % of the users")

    def look(self) -> StepGate:
        """Read what was captured, and go on, wait or go back.

        Raises:
            CaptureAwayError: What was captured cannot be read now; another look may.
            UserError: Somebody else changed the mode or the model. The canary stays as it is, and
                so it does where the judge fails, unless what is known is enough to go back.
        """
        status = self._mode.checked(self.report.percent)
        try:
            gate = self._judged()
        except JudgeFailedError as failed:
            gate = self._gate()
            if gate.step != "go back":
                raise failed.error from None
        report = self.report
        if gate.step != "go back" and (problem := self._traffic.problem(status, report.percent)):
            gate = StepGate("wait", problem)
        if gate.step == "go back":
            self.go_back(gate.why, own_mode(report.percent))
        elif gate.step == "go on":
            self._go_on(gate.why)
        elif gate.why != self._said:
            self._said = gate.why
            self._say(f"{report.percent:g} %: {gate.why}.")
        return gate

    def _go_on(self, why: str) -> None:
        percent = self._next_percent()
        # Unless somebody went back while the judge was asked.
        self._mode.set(CANARY, percent or self.report.percent, own_mode(self.report.percent))
        if percent is None:
            self.report = self.report.model_copy(update={"status": DONE})
            self._note(f"done: {why}")
        else:
            self._take_step()
            self._note(f"the model answers {percent:g} % of the users: {why}")

    def _next_percent(self) -> float | None:
        """Return the next step's share; None at the last step."""
        return next(iter(self.report.steps[self.report.step + 1 :]), None)

    def _take_step(self) -> None:
        update = {"step": self.report.step + 1, "step_began": stamp(self._now())}
        self.report = self.report.model_copy(update=update)

    def _judged(self) -> StepGate:
        """Score what came in since the last look, and return the gate.

        A judge may take longer than the traffic; a model that fails meanwhile is not waited for.
        """
        self._take_in()
        decided = self._now()
        for _ in range(self._scores.parts):
            self._scores.score_part()
            if self._now() - decided >= _LONGEST_WITHOUT_GATE:
                self._take_in()
                decided, gate = self._now(), self._gate()
                if gate.step == "go back":
                    return gate
        return self._gate()

    def _gate(self) -> StepGate:
        report = self.report
        return self._gates.decide(self._walk, report.step_began, self._scores.known, report.percent)

    def _take_in(self) -> None:
        """Read what is new."""
        new = self._tail.new()
        if self._tail.damaged > self._damaged:
            self._damaged = self._tail.damaged
            self._say(f"{self._damaged} damaged lines of captured exchanges are skipped.")
        for exchange in new:
            self._check_model(exchange)
        self._traffic.note_new(new)
        self._walk += new
        self._scores.add(new)

    def _check_model(self, exchange: CapturedExchange) -> None:
        model, report = exchange.model, self.report
        if model is None:
            return
        if report.round is None:
            update = {"round": model.round, "model_version": model.model_version}
            self.report = report.model_copy(update=update)
        elif model.identity != (report.round, report.model_version):
            began = _name(report.round, report.model_version)
            raise UserError(
                f"The walk began with {began}, and {_name(*model.identity)} answers now. Go back "
                "(understudy cutover --back), and begin again."
            )


def _name(round: int, version: str | None) -> str:
    return version or f"the model of round {round}"
