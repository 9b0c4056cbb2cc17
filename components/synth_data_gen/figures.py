"""What the rows of all rounds look like: histograms, diversity, likeness to the coverage rows."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from components.synth_data_gen.diversity import distinct, self_bleu
from components.synth_data_gen.output_values import count_kept_and_dropped, count_near
from core.conversation import user_text
from core.records import SEED_SPLIT, CoverageRow
from core.reports.strict import StrictKind
from core.reports.synthesis import Bar, DatasetFigures, Nearest, RoundDiversity
from core.synthetic_records import Dropped, SyntheticRow
from judging.strict import strict_kind
from judging.value_shares import ANY_VALUE, Counts, count_values

_BINS = 12
_SAMPLES = 12
_NEAREST = 10
_DROPPED_SAMPLES = 20
_MAX_VALUES = 15  # bars of an attribute

_V = TypeVar("_V", bound=Hashable)


def make_figures(
    rows: Sequence[SyntheticRow],
    *,
    dropped: Sequence[Dropped] = (),
    coverage: Sequence[CoverageRow] = (),
) -> DatasetFigures:
    """Count what the card and the page show.

    Args:
        rows: All rows of all rounds, at least one.
        dropped: What the filters dropped in the last round.
        coverage: Seeds and holdout rows.
    """
    origins = [row.origin for row in rows]
    seeds = [row.output for row in coverage if row.split == SEED_SPLIT]
    outputs: Counts = {}
    of_seeds: Counts = {}
    by_round: dict[str, dict[int, Mapping[str, int]]] = {}
    if kind := strict_kind([row.output for row in coverage]):
        outputs = count_values([row.output for row in rows], kind)
        by_round = _by_round(rows, kind, outputs)
        shown = count_values(seeds, kind).items()
        # The seeds alone may have few values of a field that has none to be told apart.
        of_seeds = {name: values for name, values in shown if name in by_round}
    last = max(row.round for row in rows)
    nearest = [
        Nearest(
            similarity=origin.nearest_coverage.similarity,
            coverage_id=origin.nearest_coverage.id,
            row_id=row.id,
            prompt=row.prompt,
        )
        for row, origin in zip(rows, origins, strict=True)
        if origin.nearest_coverage
    ]
    nearest.sort(key=lambda n: (n.similarity, n.coverage_id, n.prompt, n.row_id), reverse=True)
    return DatasetFigures(
        prompt_chars=histogram([len(row.prompt) for row in rows]),
        output_chars=histogram([len(row.output) for row in rows]),
        attributes=_bars([origin.attributes for origin in origins], _most_frequent),
        scores=_bars([origin.scores for origin in origins], _by_value),
        diversity=diversity_by_round(rows),
        similarity=_similarity_bars([entry.similarity for entry in nearest]),
        nearest=tuple(nearest[:_NEAREST]),
        values=count_kept_and_dropped(
            [row.output for row in rows if row.round == last], dropped, coverage
        ),
        dropped_near=count_near(dropped, coverage),
        outputs=outputs,
        outputs_by_round=by_round,
        seed_outputs=of_seeds,
        seeds=len(seeds),
    )


def _by_round(
    rows: Sequence[SyntheticRow], kind: StrictKind, outputs: Counts
) -> dict[str, dict[int, Mapping[str, int]]]:
    """Count each round's output values, of the fields that have a set of values."""
    fields = [field for field, counts in outputs.items() if field and ANY_VALUE not in counts]
    of_round: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        of_round[row.round].append(row.output)
    counts = {number: count_values(of_round[number], kind) for number in sorted(of_round)}
    return {
        field: {number: values.get(field, {}) for number, values in counts.items()}
        for field in fields
    }


def draw_samples(rows: Sequence[SyntheticRow], round: int) -> list[SyntheticRow]:
    """Draw some rows at random, the same ones for the same round."""
    drawn = random.Random(round).sample(range(len(rows)), min(_SAMPLES, len(rows)))
    return [rows[index] for index in drawn]


def pick_dropped(dropped: Iterable[Dropped]) -> list[Dropped]:
    """Pick some of what was dropped: one of each reason, then a second of each, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for entry in dropped:
        ranked.append((seen[entry.reason], entry))
        seen[entry.reason] += 1
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])][:_DROPPED_SAMPLES]


def histogram(values: Sequence[int], bins: int = _BINS) -> tuple[Bar, ...]:
    """Return bars of equal width over whole numbers; the last one ends at the highest value."""
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // bins))
    counts = Counter((value - low) // width for value in values)
    bars = []
    for number in range(max(counts) + 1):
        start = low + number * width
        end = min(high, start + width - 1)
        bars.append(Bar(f"{start}" if start == end else f"{start}-{end}", counts[number]))
    return tuple(bars)


def diversity_by_round(rows: Sequence[SyntheticRow]) -> tuple[RoundDiversity, ...]:
    """Measure each round's prompts by their source, over samples as large as the smallest.

    distinct-n falls with the amount of text, so rounds of different size would not compare.
    """
    prompts: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for row in rows:
        prompts[row.round, row.origin.source].append(user_text(row.prompt))
    size = min(len(texts) for texts in prompts.values())
    result = []
    for (number, source), texts in sorted(prompts.items()):
        sample = random.Random(number).sample(texts, size)
        result.append(
            RoundDiversity(
                round=number,
                source=source,
                rows=len(texts),
                compared=size,
                distinct_1=distinct(sample, 1),
                distinct_2=distinct(sample, 2),
                self_bleu=self_bleu(sample),
            )
        )
    return tuple(result)


def _bars(
    rows: Iterable[Mapping[str, _V]], ordered: Callable[[Counter[_V]], Iterable[Bar]]
) -> dict[str, tuple[Bar, ...]]:
    values: defaultdict[str, Counter[_V]] = defaultdict(Counter)
    for row in rows:
        for name, value in row.items():
            values[name][value] += 1
    return {name: tuple(ordered(counts)) for name, counts in sorted(values.items())}


def _most_frequent(counts: Counter[str]) -> list[Bar]:
    return [Bar(value, count) for value, count in counts.most_common(_MAX_VALUES)]


def _by_value(counts: Counter[float]) -> list[Bar]:
    return [Bar(f"{value:g}", counts[value]) for value in sorted(counts)]


def _similarity_bars(similarities: Iterable[float]) -> tuple[Bar, ...]:
    counts = Counter(min(9, int(similarity * 10)) for similarity in similarities)
    return tuple(Bar(f"{n / 10:.1f}-{(n + 1) / 10:.1f}", counts[n]) for n in range(10))
