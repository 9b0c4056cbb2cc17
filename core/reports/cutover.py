"""How far a cut-over has come, and why."""

from typing import Literal

from core.reports.report import Part, Report

CutoverStatus = Literal["walking", "done", "back"]
WALKING: CutoverStatus = "walking"
DONE: CutoverStatus = "done"
BACK: CutoverStatus = "back"


class CutoverEvent(Part):
    """An event of the walk.

    Attributes:
        time: When, ISO 8601 in UTC.
        percent: Share of the users whose requests the model answers from then on.
        text: What happened and why.
    """

    time: str
    percent: float
    text: str


class CutoverBefore(Part):
    """The gateway's mode before a walk.

    Attributes:
        mode: The mode.
        canary_percent: Its share.
        set_by: What had set it.
    """

    mode: str
    canary_percent: float
    set_by: str


class CutoverReport(Report):
    """A walk from the service to the model; the file from which it is resumed.

    Attributes:
        task: Name of the task.
        round: The round that made the model; None until it has answered.
        model_version: Task, round and hash of its weights; None likewise.
        steps: The shares to walk through, in percent, rising.
        status: `walking`, `done` at the last step, or `back` at the service.
        step: Index of the present step.
        began: When the walk began, ISO 8601 in UTC with milliseconds.
        step_began: When the present step began, likewise.
        events: What happened, the oldest first.
        before: The gateway's mode before the first step; None until the walk has seen it.
    """

    task: str
    round: int | None
    steps: tuple[float, ...]
    status: CutoverStatus
    step: int
    began: str
    step_began: str
    events: tuple[CutoverEvent, ...]
    model_version: str | None = None
    before: CutoverBefore | None = None

    @property
    def percent(self) -> float:
        """Share of the users whose requests the model answers."""
        return 0.0 if self.status == BACK else self.steps[self.step]
