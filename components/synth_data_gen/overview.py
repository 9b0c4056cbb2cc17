"""The numbers of the dataset's card and page; how they look is left to `pages`."""

import dataclasses
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from components.synth_data_gen.diversity import distinct, self_bleu
from components.synth_data_gen.rows import Dropped, SyntheticRow

_BINS = 12
_SAMPLES = 12
_NEAREST = 10
_DROPPED_SAMPLES = 20
_MOST_VALUES = 15  # bars per attribute


class Bar(NamedTuple):
    """One bar of a histogram: what it counts, and how many rows."""

    label: str
    rows: int


class Nearest(NamedTuple):
    """A row and the coverage row that its prompt is nearest to."""

    similarity: float
    coverage_id: str
    prompt: str
    row_id: str


class RoundDiversity(NamedTuple):
    """Diversity of one round's prompts, over equally many prompts of each round."""

    round: int
    rows: int
    compared: int
    distinct_1: float
    distinct_2: float
    self_bleu: float


@dataclasses.dataclass(frozen=True)
class Overview:
    """Everything that the card and the page show.

    Attributes:
        task_name: Name of the task.
        summary: `synthesis.json`.
        dropped: Bars by reason, this round.
        prompt_chars: Histogram of the prompts' lengths in characters.
        output_chars: The same of the outputs.
        attributes: Bars by attribute.
        scores: Bars by the name of a score, of the rows that have it.
        diversity: By round.
        similarity: Histogram of the similarity to the nearest coverage row.
        nearest: The rows nearest to a coverage row, the nearest first.
        samples: Rows drawn at random, each with its provenance as a dict.
        dropped_samples: Some of what the filters took, every reason first once.
    """

    task_name: str
    summary: Mapping[str, Any]
    dropped: Sequence[Bar]
    prompt_chars: Sequence[Bar]
    output_chars: Sequence[Bar]
    attributes: Mapping[str, Sequence[Bar]]
    scores: Mapping[str, Sequence[Bar]]
    diversity: Sequence[RoundDiversity]
    similarity: Sequence[Bar]
    nearest: Sequence[Nearest]
    samples: Sequence[tuple[SyntheticRow, Mapping[str, Any]]]
    dropped_samples: Sequence[Dropped]

    @property
    def dropped_total(self) -> int:
        """Candidates that the filters took in this round."""
        return sum(bar.rows for bar in self.dropped)


def make_overview(
    rows: Sequence[SyntheticRow],
    dropped: Sequence[Dropped],
    summary: Mapping[str, Any],
    task_name: str,
) -> Overview:
    """Counts what the card and the page show.

    Args:
        rows: All rows of all rounds, at least one.
        dropped: What the filters took in this round.
        summary: `synthesis.json`.
        task_name: Name of the task.
    """
    provenance = [json.loads(row.provenance) for row in rows]
    near = [
        Nearest(
            entry["nearest_coverage"]["similarity"],
            entry["nearest_coverage"]["id"],
            row.prompt,
            row.id,
        )
        for row, entry in zip(rows, provenance, strict=True)
        if "nearest_coverage" in entry
    ]
    counts = Counter(summary["dropped"])
    drawn = random.Random(summary["round"]).sample(range(len(rows)), min(_SAMPLES, len(rows)))
    return Overview(
        task_name=task_name,
        summary=summary,
        dropped=[Bar(reason, count) for reason, count in counts.most_common()],
        prompt_chars=histogram([len(row.prompt) for row in rows]),
        output_chars=histogram([len(row.output) for row in rows]),
        attributes=_attribute_bars([entry["attributes"] for entry in provenance]),
        scores=_score_bars([entry.get("scores", {}) for entry in provenance]),
        diversity=diversity_by_round(rows),
        similarity=_similarity_bars([entry.similarity for entry in near]),
        nearest=sorted(near, reverse=True)[:_NEAREST],
        samples=[(rows[index], provenance[index]) for index in drawn],
        dropped_samples=_every_reason_first(dropped)[:_DROPPED_SAMPLES],
    )


def histogram(values: Sequence[int], bins: int = _BINS) -> list[Bar]:
    """Bars of equal width over whole numbers; the last one ends at the highest value."""
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // bins))
    counts = Counter((value - low) // width for value in values)
    bars = []
    for number in range(max(counts) + 1):
        start = low + number * width
        end = min(high, start + width - 1)
        bars.append(Bar(f"{start}" if start == end else f"{start}-{end}", counts[number]))
    return bars


def diversity_by_round(rows: Sequence[SyntheticRow]) -> list[RoundDiversity]:
    """Diversity of each round's prompts, and of all, over samples as large as the smallest round.

    distinct-n falls with the amount of text, so rounds of different size would not compare.
    """
    prompts: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        prompts[row.round].append(row.prompt)
    size = min(len(texts) for texts in prompts.values())
    result = []
    for number, texts in sorted(prompts.items()):
        sample = random.Random(number).sample(texts, size)
        result.append(
            RoundDiversity(
                round=number,
                rows=len(texts),
                compared=size,
                distinct_1=distinct(sample, 1),
                distinct_2=distinct(sample, 2),
                self_bleu=self_bleu(sample),
            )
        )
    return result


def _attribute_bars(attributes: Sequence[Mapping[str, str]]) -> dict[str, list[Bar]]:
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in attributes:
        for name, value in row.items():
            values[name][value] += 1
    return {
        name: [Bar(value, count) for value, count in counts.most_common(_MOST_VALUES)]
        for name, counts in sorted(values.items())
    }


def _score_bars(scores: Sequence[Mapping[str, float]]) -> dict[str, list[Bar]]:
    values: defaultdict[str, Counter[float]] = defaultdict(Counter)
    for row in scores:
        for name, value in row.items():
            values[name][value] += 1
    return {
        name: [Bar(f"{value:g}", counts[value]) for value in sorted(counts)]
        for name, counts in sorted(values.items())
    }


def _similarity_bars(similarities: Sequence[float]) -> list[Bar]:
    counts = Counter(min(9, int(similarity * 10)) for similarity in similarities)
    return [Bar(f"{n / 10:.1f}-{(n + 1) / 10:.1f}", counts[n]) for n in range(10)]


def _every_reason_first(dropped: Sequence[Dropped]) -> list[Dropped]:
    """One of each reason, then a second of each, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for entry in dropped:
        ranked.append((seen[entry.reason], entry))
        seen[entry.reason] += 1
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]
