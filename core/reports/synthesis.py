"""The synthesis record: what a round of generation requested, dropped, kept and looks like."""

from collections.abc import Mapping
from typing import NamedTuple

import pydantic

from core.reports.report import Part, Report
from core.synthetic_records import GENERATED
from core.usage import Usage

# Reasons of prompts that were never received; all but `missing` also of prompts without an answer.
_OF_REPLIES = frozenset({"missing", "refused", "truncated", "bad_output"})


class Bar(NamedTuple):
    """One bar of a histogram: what it counts, and how many rows."""

    label: str
    rows: int


class Nearest(Part):
    """A row and the coverage row that its prompt is nearest to; similarity from 0 to 1."""

    similarity: float
    coverage_id: str
    row_id: str
    prompt: str


class ValueCount(NamedTuple):
    """A value of an output field, and how many rows of the round have it."""

    value: str
    kept: int
    dropped: int


class NearCount(Part):
    """How many candidates of the round were dropped near a coverage row, and why."""

    coverage_id: str
    split: str
    reason: str
    rows: int


class RoundDiversity(Part):
    """Diversity of one round's prompts of one source, over equally many prompts of each.

    Attributes:
        round: The round.
        source: Where its rows come from.
        rows: Its rows.
        compared: Rows that the figures rest on.
        distinct_1: Share of different words.
        distinct_2: Share of different pairs of words.
        self_bleu: Likeness to the other prompts.
    """

    round: int
    source: str = GENERATED
    rows: int
    compared: int
    distinct_1: float
    distinct_2: float
    self_bleu: float


class DatasetFigures(Part):
    """What the rows of all rounds look like.

    Attributes:
        prompt_chars: Histogram of the prompts' lengths in characters.
        output_chars: The same of the outputs.
        attributes: Bars by attribute, the most frequent values of each.
        scores: Bars by the name of a score, of the rows that have it.
        diversity: By round.
        similarity: Histogram of the similarity to the nearest coverage row.
        nearest: The rows nearest to a coverage row, the nearest first.
        values: Values by the output's field, of the rows that the round kept and dropped.
        dropped_near: What the round dropped near coverage rows, the most frequent first.
        outputs: How often each value appears in the outputs of all rounds' rows, by field; empty
            for free text.
        outputs_by_round: The same by field and round, of fields with a set of values.
        seed_outputs: The same of the seeds, by field.
        seeds: How many seeds there are.
    """

    prompt_chars: tuple[Bar, ...] = ()
    output_chars: tuple[Bar, ...] = ()
    attributes: Mapping[str, tuple[Bar, ...]] = {}
    scores: Mapping[str, tuple[Bar, ...]] = {}
    diversity: tuple[RoundDiversity, ...] = ()
    similarity: tuple[Bar, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    values: Mapping[str, tuple[ValueCount, ...]] = {}
    dropped_near: tuple[NearCount, ...] = ()
    outputs: Mapping[str, Mapping[str, int]] = {}
    outputs_by_round: Mapping[str, Mapping[int, Mapping[str, int]]] = {}
    seed_outputs: Mapping[str, Mapping[str, int]] = {}
    seeds: int = 0


class DataGenerator(Part):
    """The service LLM that wrote a round, and the versions of the prompt texts."""

    provider: str
    model: str
    prompt_versions: Mapping[str, str]


class LoggedRows(Part):
    """What became of the logged exchanges in a round.

    Attributes:
        read: Exchanges read.
        kept: Rows made of them.
        dropped: By the filter's reason.
        scored: Whether the service LLM scored what was kept; None where nothing was, and in files
            of earlier versions.
    """

    read: int
    kept: int
    dropped: Mapping[str, int]
    scored: bool | None = None

    @property
    def dropped_bars(self) -> list[Bar]:
        """Reasons by how many they dropped, the most frequent first."""
        return _by_count(self.dropped)


class EditedRows(Part):
    """What a person did with the rows of a round while the run was paused."""

    edited: int
    deleted: int
    added: int


class SynthesisRecord(Report):
    """What a round of generation did: the content of `synthesis.json`.

    Every prompt is accounted for: `requested` is the sum of `kept`, `surplus` and all `dropped`.

    Attributes:
        task: Name of the task; empty in files of the first version.
        round: The round, from 1.
        requested: Prompts requested.
        generated: Prompts received.
        kept: Generated rows that the round added.
        surplus: Good prompts that were not needed and never answered.
        dropped: By the filter's reason.
        total_rows: Rows of all rounds.
        train_rows: Of these, the ones to train on.
        eval_rows: The others, which the eval loss is measured on.
        rows_by_round: Rows by the round that added them.
        rows_by_source: Rows of all rounds that were generated, logged, or written by a person;
            empty in files of earlier versions, where all were generated.
        edited_rows: Rows of all rounds that a person has changed.
        logged: The logged exchanges of this round; None without any.
        edits: What a person did with the rows of this round; None where the run did not pause.
        seed_weights: How often each seed was shown, relative to the mean of 1.
        usage: What was asked of the service LLM and the embedding model.
        embedding_usage: Of this, the embedding model's part.
        generator: The service LLM.
        embedding_model: The embedding model; None without one.
        stand_in: Whether a stand-in generated the rows.
        figures: What the rows look like.
    """

    task: str = ""
    round: int
    requested: int
    generated: int
    kept: int
    surplus: int
    dropped: Mapping[str, int]
    total_rows: int
    train_rows: int
    eval_rows: int
    rows_by_round: Mapping[int, int]
    rows_by_source: Mapping[str, int] = {}
    edited_rows: int = 0
    logged: LoggedRows | None = None
    edits: EditedRows | None = None
    seed_weights: Mapping[str, float]
    usage: Usage
    embedding_usage: Usage = Usage()
    generator: DataGenerator
    embedding_model: str | None = None
    stand_in: bool
    figures: DatasetFigures = pydantic.Field(default_factory=DatasetFigures)

    @property
    def sources(self) -> dict[str, int]:
        """Rows of all rounds by where they come from."""
        return dict(self.rows_by_source) or {GENERATED: self.total_rows}

    @property
    def dropped_total(self) -> int:
        """Candidates that the filters dropped."""
        return sum(self.dropped.values())

    @property
    def dropped_bars(self) -> list[Bar]:
        """Reasons by how many they dropped, the most frequent first."""
        return _by_count(self.dropped)

    @property
    def funnel(self) -> list[Bar]:
        """What was left of the prompts requested, after each filter in turn and at the end."""
        left = self.generated
        steps = [Bar("asked", self.requested), Bar("received", left)]
        filters = _by_count({r: n for r, n in self.dropped.items() if r not in _OF_REPLIES})
        filtered = self.surplus + sum(bar.rows for bar in filters)
        unanswered = left - filtered - self.kept
        for reason, rows in [*filters, ("surplus", self.surplus), ("unusable answers", unanswered)]:
            if rows:
                left -= rows
                steps.append(Bar(f"without {reason}", left))
        return [*steps, Bar("kept", self.kept)]

    @property
    def source_bars(self) -> list[Bar]:
        """Where the rows of all rounds come from."""
        return [Bar(*item) for item in self.sources.items()]

    @property
    def generated_rows(self) -> int:
        """Rows of all rounds that the service LLM generated."""
        return self.sources.get(GENERATED, 0)

    @property
    def other_rows(self) -> dict[str, int]:
        """Rows of all rounds that were not generated, by where they come from."""
        return {source: rows for source, rows in self.sources.items() if source != GENERATED}

    @property
    def title(self) -> str:
        """Heading of the data's card and page: logged exchanges are no synthetic data."""
        return f"{'Training' if self.other_rows else 'Synthetic'} data for {self.task}"


def _by_count(counts: Mapping[str, int]) -> list[Bar]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [Bar(reason.replace("_", " "), rows) for reason, rows in ordered]
