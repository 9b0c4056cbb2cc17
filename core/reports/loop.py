"""The loop summary: every round's records, when they ran, where they are, what was pushed."""

import enum
import os
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import pydantic

from core.errors import UserError
from core.reports.coverage import Change, CoverageReport
from core.reports.failures import ValueShare
from core.reports.learning import LearningCurve
from core.reports.operation import ServiceOrOwn
from core.reports.report import Part, Report
from core.reports.synthesis import SynthesisRecord
from core.reports.training import TrainingRecord
from core.usage import Usage

RepoKind = Literal["model", "dataset", "space"]


class StopReason(enum.StrEnum):
    """Why a loop ended."""

    THRESHOLD_MET = "threshold_met"
    NO_PROGRESS = "no_progress"
    BUDGET_SPENT = "budget_spent"
    MAX_ROUNDS = "max_rounds"


class PushRecord(Report):
    """What a push left behind: the content of `pushed.json`.

    Attributes:
        destination: URL or folder of the model repository.
        local: Whether it is a folder.
        tag: The tag that all repositories of the push carry.
        repositories: Kind of repository to `owner/name`.
        commits: Kind of repository to the commit's oid.
    """

    destination: str
    local: bool
    tag: str
    repositories: Mapping[RepoKind, str]
    commits: Mapping[RepoKind, str]


class ComponentRun(Part):
    """How long a component took; `cached` is an earlier result that was used again."""

    node: str
    seconds: float
    cached: bool


class RoundArtifacts(Part):
    """URIs of what a round wrote, in that order; `pushed` is empty without a blessed model."""

    synthetic: str
    model: str
    report: str
    exports: str
    pushed: str

    def moved(self, before: str, now: str) -> Self:
        """Return the URIs with those below one folder below another; others stay."""
        return self.model_copy(
            update={name: _moved(uri, before, now) for name, uri in self.model_dump().items()}
        )


class RoundSummary(Part):
    """One round: what its components recorded, and when.

    Attributes:
        round: Number of the round, from 1.
        run_id: The orchestrator's name of the pipeline run.
        seconds: Of all its components.
        started_from: The round whose model the training started from, or its URI; None for the
            base model.
        synthesis: What was generated.
        training: What was trained.
        report: What the evaluation found.
        pushed: What was pushed; None where nothing was.
        components: In the order in which they ran; empty where the orchestrator keeps no times.
        artifacts: Where everything is.
    """

    round: int
    run_id: str
    seconds: float
    started_from: int | str | None
    synthesis: SynthesisRecord
    training: TrainingRecord
    report: CoverageReport
    pushed: PushRecord | None
    components: tuple[ComponentRun, ...]
    artifacts: RoundArtifacts

    @property
    def blessed(self) -> bool:
        """Whether the model passed the gate."""
        return self.report.gate.passed

    @property
    def usage(self) -> Usage:
        """What the round asked of the service LLM and the embedding model."""
        return self.synthesis.usage + self.report.usage


class RunnerUp(Part):
    """The best round compared with the second best, on the same prompts of the gate's split.

    Attributes:
        round: The second best round.
        change: From its answers to those of the best round.
    """

    round: int
    change: Change


class LoopSummary(Report):
    """Everything worth knowing about a loop: the content of `summary.json`.

    Attributes:
        name: Of the pipeline.
        task: Name of the task.
        created: ISO 8601, UTC.
        stop_reason: Why the loop ended; None while it runs.
        best_round: The round to keep.
        runner_up: How it compares with the second best; None for a single round.
        operation: Service or own: what requests cost on either; None in files of earlier versions.
        learning: The rates by training rows; likewise.
        outputs: The kept round's output values by field, with their shares of references, training
            rows and answers; empty for free text.
        seconds: Of all rounds.
        usage: Of all rounds.
        stand_in: Whether a stand-in took the service LLM's place.
        rounds: In order, at least one.
        versions: Of Python and the libraries; None for what is not installed.
        config: The configuration of the run.
        warnings: What is odd about the service LLMs: models that are shut down or that others
            answered for, and replies whose tokens nobody counted.
    """

    first_version: ClassVar[Mapping[str, str] | None] = None
    is_rewritten: ClassVar[bool] = True

    name: str
    task: str
    created: str
    stop_reason: StopReason | None
    best_round: int
    seconds: float
    usage: Usage
    stand_in: bool
    rounds: tuple[RoundSummary, ...]
    versions: Mapping[str, str | None]
    config: Mapping[str, pydantic.JsonValue]
    warnings: tuple[str, ...] = ()
    runner_up: RunnerUp | None = None
    operation: ServiceOrOwn | None = None
    learning: LearningCurve | None = None
    outputs: Mapping[str, tuple[ValueShare, ...]] = {}

    @property
    def best(self) -> RoundSummary:
        """The round to keep."""
        return self.find(self.best_round)

    def find(self, round: int) -> RoundSummary:
        """Return a round by its number.

        Raises:
            UserError: The loop has no such round.
        """
        for entry in self.rounds:
            if entry.round == round:
                return entry
        raise UserError(
            f"There is no round {round}; the run has {len(self.rounds)} round(s), the best one is "
            f"round {self.best_round}."
        )

    def at(self, output_dir: str) -> Self:
        """Return the summary as seen from here, where its run is in `output_dir`.

        A run names its artifacts as it saw them: below the output folder of its configuration,
        which may be relative, or have been moved since.
        """
        before = str(self.config.get("output_dir") or output_dir)
        config = {**self.config, "output_dir": output_dir}
        rounds = tuple(
            entry.model_copy(update={"artifacts": entry.artifacts.moved(before, output_dir)})
            for entry in self.rounds
        )
        return self.model_copy(update={"rounds": rounds, "config": config})


def _moved(uri: str, before: str, now: str) -> str:
    if not uri or "://" in uri:
        return uri
    path = os.path.relpath(uri, before) if os.path.isabs(uri) == os.path.isabs(before) else ""
    return uri if not path or path.startswith(os.pardir) else os.path.join(now, path)
