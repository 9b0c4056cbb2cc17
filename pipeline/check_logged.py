"""What `check` says of the logged exchanges that a run trains on."""

from collections.abc import Iterator, Sequence

from core.records import SEED_SPLIT, CoverageRow
from pipeline.config import Config
from pipeline.estimate import estimate_logged_scores
from pipeline.lengths import RowLengths, limits, measure
from task.form import Misfit, infer_form


def logged_lines(
    config: Config,
    rows: Sequence[CoverageRow],
    lengths: RowLengths,
    logged: Sequence[CoverageRow],
    listed: int | None,
) -> list[str]:
    """Describe what becomes of logged exchanges, and what their scores cost.

    Args:
        config: The configuration of a run.
        rows: The coverage dataset.
        lengths: Of its rows, which the limits follow.
        logged: The exchanges, at least one.
        listed: Rows named at most; None for all.
    """
    longest = max(len(row.prompt) for row in logged)
    seeds = [row.output for row in rows if row.split == SEED_SPLIT]
    form = infer_form(seeds, config.task.output_schema)
    misfits = {found.row: found for found in form.misfits([row.output for row in logged])}
    fitting = [row for number, row in enumerate(logged) if number not in misfits]
    return [
        f"{len(logged):,} logged exchanges to train on, where the filters leave them; the longest "
        f"prompt has {longest:,} characters. The first round generates what they leave missing.",
        _scores_line(config, rows, fitting),
        *_misfit_lines(logged, list(misfits.values()), listed),
        *_too_long_lines(config, lengths, logged, listed),
    ]


def _scores_line(
    config: Config, rows: Sequence[CoverageRow], fitting: Sequence[CoverageRow]
) -> str:
    synth = config.synth
    if not (synth.quality_filter and synth.score_logged):
        name = "score_logged" if synth.quality_filter else "quality_filter"
        return f"The service LLM does not score them (synth.{name} is false)."
    usage, budget = estimate_logged_scores(config, rows, fitting), config.service_llm.budget_usd
    is_over = budget is not None and (usage.cost_usd or 0.0) > budget
    cost = "at an unknown price" if usage.cost_usd is None else f"{usage.cost_usd:,.2f} USD"
    return (
        f"The service LLM scores them, too: at most {usage.calls:,} requests, "
        f"{usage.prompt_tokens:,} prompt and {usage.output_tokens:,} output tokens, {cost}; "
        "synth.score_logged=false leaves that out."
        f"{f' A run would stop at service_llm.budget_usd ({budget:,.2f} USD).' if is_over else ''}"
    )


def _misfit_lines(
    logged: Sequence[CoverageRow], misfits: Sequence[Misfit], listed: int | None
) -> Iterator[str]:
    if misfits:
        yield f"{len(misfits):,} of them do not fit the form and would be dropped:"
        yield from (f"  {logged[found.row].id}: {found.problem}" for found in misfits[:listed])
    if more := len(misfits) - len(misfits[:listed]):
        yield f"  … and {more:,} more; understudy check --all lists every one"


def _too_long_lines(
    config: Config, lengths: RowLengths, logged: Sequence[CoverageRow], listed: int | None
) -> Iterator[str]:
    limit = limits(config, lengths).sequence_length
    # A token has a byte or more, and a chat template few of them: most rows need no counting.
    logged = [row for row in logged if 2 * len((row.prompt + row.output).encode()) > limit]
    totals = measure(config, logged).totals if logged else []
    longer = sorted(
        (n for n, total in enumerate(totals) if total > limit), key=lambda n: -totals[n]
    )
    if longer:
        named = ", ".join(f"{logged[n].id} ({totals[n]:,})" for n in longer[:listed])
        yield (
            f"{len(longer):,} of them are longer than training.sequence_length ({limit:,} tokens) "
            f"and would be left out of the training: {named}"
            f"{', …' if longer[listed or len(longer) :] else ''}."
        )
