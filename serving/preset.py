"""What serving needs of a preset of the pipeline; `pipeline.serving` makes it."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from core.conversation import user_turns
from core.records import SEED_SPLIT, CoverageRow
from judging.settings import EvaluatorSettings
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from serving.gateway.task import Contract
from serving.settings import ServingSettings
from task.coverage.redaction import redacted_rows
from task.form import infer_form
from task.privacy import PrivacySettings
from task.task import Task

_MIN_SEEDS = 25  # behind an inferred form that refuses answers


class JudgingPreset(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Who judges answers, and how.

    Attributes:
        evaluator: Votes, thresholds, and the scorer of the gate.
        judge: The service LLM that judges.
        embedder: The embedding model; None where none is configured.
        journal_uri: Where its replies are kept.
    """

    evaluator: EvaluatorSettings
    judge: ServiceLLMSettings
    embedder: EmbedderSettings | None = None
    journal_uri: str


class ServedPreset(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A preset, as far as its task is served.

    Attributes:
        preset: Name or path of the preset, as it was given.
        task: The task.
        coverage: The rows of its coverage dataset, as they are on this machine; none on a host that
            has no copy. What is sent is `sent_coverage`.
        output_dir: Folder of its run.
        settings: Its `serving` section, with `service` set.
        privacy: What is done about personal data in the task's texts.
        judging: Who judges answers, and how; None where answers are only served.
        output_schema: JSON Schema of an answer, where the task gives one.
    """

    preset: str
    task: Task
    coverage: tuple[CoverageRow, ...] = ()
    output_dir: Path
    settings: ServingSettings
    privacy: PrivacySettings = PrivacySettings()
    judging: JudgingPreset | None = None
    output_schema: Mapping[str, Any] | None = None

    @functools.cached_property
    def sent_coverage(self) -> tuple[CoverageRow, ...]:
        """The rows as a service LLM or a judge may get them, and as the model was trained on them.

        Raises:
            UserError: Two prompts are the same without their personal data; no run trains on them.
        """
        return tuple(redacted_rows(self.coverage, self.privacy))

    @property
    def contract(self) -> Contract | None:
        """Checks an answer against the form of the seeds' outputs.

        None with too few of them, and where the task gives a schema: that is the form, then.
        """
        if self.output_schema is not None:
            return None
        outputs = [row.output for row in self.coverage if row.split == SEED_SPLIT]
        if len(outputs) < _MIN_SEEDS:
            return None
        form = infer_form(outputs)
        return lambda answer: form.problem(form.tidy(answer))

    @property
    def learned_turns(self) -> int:
        """User turns that the model has learned to answer at most."""
        return max((user_turns(row.prompt) for row in self.coverage), default=1)
