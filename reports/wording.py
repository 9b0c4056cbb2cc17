"""Names, sentences and formats of all pages."""

import math

from core.records import VerdictRow
from core.reports.coverage import (
    JUDGE,
    TUNED,
    Agreement,
    Change,
    ChangeSince,
    CoverageReport,
    Gate,
)
from core.reports.operation import OwnAnswers, ServiceOrOwn
from core.reports.rates import RelativeRate, SplitName
from core.reports.sweep import SweptModel
from reports.typeset import NO_BREAK_SPACE

SPLITS: tuple[SplitName, ...] = ("holdout", "seed", "overall")  # in the order of the tables
MODEL_NAMES = {
    "tuned": "Tuned model",
    "base": "Untuned model",
    "few_shot": "Untuned model with examples",
    "service": "Service LLM (ceiling)",
}
_SCORER_NAMES = {  # of those that are not written as they are called
    "json_fields": "JSON fields",
    "rouge_l": "ROUGE-L",
    "embedding": "embedding similarity",
}
_STOP_SENTENCES = {
    "threshold_met": "The loop stopped because the threshold was reached.",
    "no_progress": "The loop stopped because further rounds did not improve the coverage rate.",
    "budget_spent": "The loop stopped because the budget for the service LLM was spent.",
    "max_rounds": "The loop stopped because it reached the maximum number of rounds.",
    None: "The loop has not ended: this page shows the rounds finished so far.",
}
STAND_IN_NOTICE = (
    "The service LLM of this run was a stand-in: a grammar on this machine, not a language model. "
    "It wrote the training data and gave the verdicts. The figures show that the loop works, not "
    "how good Gemma is on your task."
)
SWEEP_CAVEAT = (
    "The best of several models is partly best by luck. Run the whole loop with the one you "
    "choose: its test split, which none of them has seen, gives the rate to rely on."
)


def headline(gate: Gate, round: int) -> str:
    """Say in one plain sentence whether the tuned model of a round reached the threshold."""
    rate = gate.rate
    verb = "reaches" if gate.passed else "stays below"
    by = "" if gate.scorer == JUDGE else f" by {scorer_name(gate.scorer)}"
    bound = "; the gate uses the lower bound" if gate.statistic == "lower" else ""
    prompts = "coverage prompts" if gate.split == "overall" else f"{gate.split} prompts"
    sentence = (
        f"The tuned model of round {round} {verb} the threshold of "
        f"{threshold(gate)}: it covers {rate.rate_percent:.1f} % of the "
        f"{prompts}{by} ({rate.covered} of {rate.total}, 95 % interval "
        f"{rate.low_percent:.1f} to {rate.high_percent:.1f} %{bound})."
    )
    return sentence.replace(" %", f"{NO_BREAK_SPACE}%")


def report_headline(report: CoverageReport) -> str:
    """Say what the tuned model does on the test split; on the gate's where that was not judged."""
    look, gate = report.last_look, report.gate
    if look is None:
        return headline(gate, report.round)
    verb = "reaches" if look.reached else "stays below"
    by = "" if gate.scorer == JUDGE else f" by {scorer_name(gate.scorer)}"
    sentence = (
        f"The tuned model of round {report.round} {verb} the threshold: it covers "
        f"{look.models[TUNED].rate_percent:.1f} % of the test prompts{by}."
    )
    return sentence.replace(" %", f"{NO_BREAK_SPACE}%")


def headline_detail(report: CoverageReport) -> str | None:
    """Give the counts, intervals and threshold of the headline; None where it has them itself."""
    look, gate = report.last_look, report.gate
    if look is None:
        return None
    rate = look.models[TUNED]
    own = "" if look.relative is None else relative_share(look.relative)
    return (
        f"That is {rate.covered:,} of {rate.total:,} prompts that no round of this run had looked "
        f"at (95 % interval {rate.low_percent:.1f} to {rate.high_percent:.1f} %){own}. The "
        f"threshold is {threshold(gate)}."
    ).replace(" %", f"{NO_BREAK_SPACE}%")


def relative_share(value: RelativeRate) -> str:
    """Continue a sentence with the rate in percent of the service LLM's; empty without one."""
    if value.percent is None:
        return ""
    return (
        f", and {value.percent:.1f} % of the service LLM's own rate there ("
        f"{percent(value.low_percent)} to {percent(value.high_percent)})"
    )


def holdout_note(report: CoverageReport) -> str | None:
    """Say how often the holdout was looked at, next to a rate on the test split; None without."""
    look, gate = report.last_look, report.gate
    if look is None:
        return None
    once = look.holdout_looks == 1
    rate = report.models[TUNED].holdout
    why = (
        "one round of this run was judged on it, so this run chose nothing by it"
        if once
        else f"{look.holdout_looks} rounds of this run were judged on it and one was kept, so part "
        "of its rate may be luck"
    )
    decided = "The gate decided" if gate.split == "holdout" else "Rounds are chosen"
    by = "on the holdout" if gate.split == "holdout" else f"on {gate.split}"
    return (
        f"{decided} {by}. The judge counts {percent(rate.rate_percent)} of the holdout as covered "
        f"({percent(rate.low_percent)} to {percent(rate.high_percent)}): {why}. This run judged "
        "the test split once, at the end. Runs before it on the same rows were further looks at "
        "both."
    )


def threshold(gate: Gate) -> str:
    """Give the threshold as it was set: of all prompts, or of what the service LLM covers."""
    if gate.relative_threshold_percent is None:
        return f"{gate.threshold_percent:g} %"
    return f"{gate.relative_threshold_percent:g} % of the service LLM's own rate"


def caveat(gate: Gate) -> str | None:
    """Say what chance may have to do with it; None where the interval is on one side."""
    rate = gate.rate
    low, reached, high = rate.low_percent, gate.threshold_percent, rate.high_percent
    if gate.relative_threshold_percent is not None:
        ratio = gate.relative
        if ratio is None or ratio.low_percent is None or ratio.high_percent is None:
            return None
        low, reached, high = ratio.low_percent, gate.relative_threshold_percent, ratio.high_percent
    if not low < reached < high:
        return None
    where = "Over all prompts" if gate.split == "overall" else f"On the {gate.split}"
    return (
        f"{where} the threshold lies inside the interval: with {rate.total} answers, chance alone "
        "may decide on which side of it the rate falls. More coverage prompts make it narrower."
    )


def comparison(change: Change) -> str:
    """Say how one model differs from another on the same prompts, and whether by chance."""
    p_value = "p < 0.001" if change.p_value < 0.001 else f"p = {change.p_value:.3f}"
    chance = "" if change.significant else ", which may be chance"
    return (
        f"{points(change.difference_points)} points; prompts gained {change.gained}, "
        f"lost {change.lost} ({p_value}{chance})"
    )


def since(change: ChangeSince | None, split: SplitName) -> str:
    """Say how the tuned model differs from that of the round before; empty without one."""
    if change is None:
        return ""
    judge = "" if change.same_judge else "; another judge, so part of it may be the judge's"
    return f"{comparison(change[split])}{judge}"


def relative(value: RelativeRate) -> str:
    """Give the tuned model's coverage in percent of another's; empty where that has none."""
    if value.percent is None:
        return ""
    return (
        f"{percent(value.percent)} of its coverage ({percent(value.low_percent)} to "
        f"{percent(value.high_percent)})"
    )


def agreement(value: Agreement) -> str:
    """Say how far two raters agree."""
    if not value.rows:
        return "no response that both decide"
    kappa = (
        "Cohen's kappa not defined"
        if value.kappa is None
        else f"Cohen's kappa {value.kappa:.2f}, {value.kappa_low:.2f} to {value.kappa_high:.2f}"
    )
    return f"{percent(value.agree_percent)} of {value.rows} equal; {kappa}"


def verdict(row: VerdictRow) -> str:
    """Return `covered`, `not covered` or `unscored`."""
    return "covered" if row.covered else "not covered" if row.scored else "unscored"


def stop_sentence(stop_reason: str | None) -> str:
    """Say why a loop ended."""
    return _STOP_SENTENCES[stop_reason]


def start(value: int | str | None) -> str:
    """Name the model that a training started from: a round's, another URI, or the base model."""
    if value is None:
        return "base model"
    return f"round {value}" if isinstance(value, int) else value


def model_name(model: str) -> str:
    """Return what a model is called."""
    return MODEL_NAMES.get(model, model)


def scorer_name(name: str) -> str:
    """Return what a scorer is called."""
    return _SCORER_NAMES.get(name, name.replace("_", " "))


def percent(value: float | None) -> str:
    """Format a percentage with one decimal; a dash where there is none."""
    return "-" if value is None else f"{value:.1f} %"


def points(value: float) -> str:
    """Format a difference of percentages, in points, with its sign."""
    return f"{value:+.1f}"


def unbroken(text: str) -> str:
    """Keep a text on one line."""
    return text.replace(" ", NO_BREAK_SPACE)


def number(value: float | None) -> str:
    """Format a count with separated thousands, or a decimal; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def per_second(value: float | None) -> str:
    """Format a rate per second with three significant digits; a dash where there is none."""
    if value is None:
        return "-"
    rounded = float(f"{value:.2e}")
    digits = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:,.{digits}f}"


def dollars(value: float | None) -> str:
    """Format an amount, with more decimals where it is small."""
    if value is None:
        return "price unknown"
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:,.2f}"


def known_dollars(value: float | None) -> str:
    """Format an amount within a sentence or a table of others; `unknown` where there is none."""
    return "unknown" if value is None else dollars(value)


def seconds(value: float) -> str:
    """Format a latency."""
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def model_size(model: SweptModel) -> str:
    """Say how many weights a model has, and what they take on a disk."""
    size = f"{model.size_bytes / 1e6:,.0f} MB in {model.dtype}"
    if model.parameters is None:
        return size
    digits = 0 if model.parameters >= 1e7 else 1
    return f"{model.parameters / 1e6:,.{digits}f} million weights, {size}"


def latency(own: OwnAnswers | None) -> str:
    """Say how fast a model answered the coverage prompts."""
    if own is None:
        return "speed not measured"
    times = own.latency
    return (
        f"an answer in {times.p50_seconds:.2f} s (median) to {times.p95_seconds:.2f} s (95 %), "
        f"{per_second(own.per_second)} a second, {own.batch_size} at once"
    )


def break_even(costs: ServiceOrOwn) -> str:
    """Say from how many requests a day on the tuned model costs less."""
    if costs.never:
        return (
            "The service LLM is cheaper at any number of requests: at full load the machine costs "
            "more per request."
        )
    if costs.break_even_per_day is None:
        return "The requests a day at which both cost the same are unknown."
    return (
        f"From {costs.break_even_per_day:,} requests a day on, the tuned model costs no more than "
        "the service LLM."
    )
