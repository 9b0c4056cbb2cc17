"""Sentences and formats of an evaluation."""

from collections.abc import Mapping
from typing import Any

MODEL_NAMES = {
    "tuned": "Tuned model",
    "base": "Untuned model",
    "few_shot": "Untuned model with examples",
    "service": "Service LLM (ceiling)",
}
SCORER_NAMES = {
    "exact_match": "exact match",
    "json_fields": "JSON fields",
    "rouge_l": "ROUGE-L",
    "embedding": "embedding similarity",
}
STAND_IN_NOTICE = (
    "The service LLM of this run was a stand-in: a grammar on this machine, not a language model. "
    "It wrote the training data and gave the verdicts. The figures show that the loop works, not "
    "how good Gemma is on your task."
)

_NO_BREAK_SPACE = "\u00a0"


def headline(report: Mapping[str, Any]) -> str:
    """Whether the tuned model reached the threshold, in one plain sentence.

    Args:
        report: A `coverage_report.json`; `round` and `gate` are read.
    """
    gate, rate = report["gate"], report["gate"]["rate"]
    verb = "reaches" if gate["passed"] else "stays below"
    by = "" if gate["scorer"] == "judge" else f" by {scorer_name(gate['scorer'])}"
    counts = gate["statistic"] == "lower"
    bound = "; the lower end of the interval is what counts" if counts else ""
    sentence = (
        f"The tuned model of round {report['round']} {verb} the threshold of "
        f"{gate['threshold_percent']:g} %: it covers {rate['rate_percent']:.1f} % of the "
        f"{_prompts(gate['split'])}{by} ({rate['covered']} of {rate['total']}, 95 % interval "
        f"{rate['low_percent']:.1f} to {rate['high_percent']:.1f} %{bound})."
    )
    return sentence.replace(" %", f"{_NO_BREAK_SPACE}%")


def caveat(gate: Mapping[str, Any]) -> str | None:
    """What chance may have to do with it; None where the interval is on one side."""
    rate = gate["rate"]
    if not rate["low_percent"] < gate["threshold_percent"] < rate["high_percent"]:
        return None
    return (
        f"The threshold lies inside the interval: with {rate['total']} answers, chance alone "
        "may decide on which side of it the rate falls. More coverage prompts make it narrower."
    )


def comparison(change: Mapping[str, Any]) -> str:
    """How one model differs from another on the same prompts, and whether chance may do that."""
    p_value = "p < 0.001" if change["p_value"] < 0.001 else f"p = {change['p_value']:.3f}"
    chance = "" if change["significant"] else ", which may be chance"
    return (
        f"{change['difference_points']:+.1f} points; prompts gained {change['gained']}, "
        f"lost {change['lost']} ({p_value}{chance})"
    )


def since(change: Mapping[str, Any] | None, split: str) -> str:
    """How the tuned model differs from the one of the round before; empty without one."""
    if change is None:
        return ""
    judge = "" if change["same_judge"] else "; another judge, so part of it may be the judge's"
    return f"{comparison(change[split])}{judge}"


def relative(value: Mapping[str, Any]) -> str:
    """The tuned model's coverage in percent of the service LLM's; empty where that has none."""
    if value["percent"] is None:
        return ""
    return (
        f"{percent(value['percent'])} of its coverage ({percent(value['low_percent'])} to "
        f"{percent(value['high_percent'])})"
    )


def agreement(value: Mapping[str, Any]) -> str:
    """How far two ways of deciding agree."""
    if not value["rows"]:
        return "no response that both decide"
    kappa = (
        "Cohen's kappa not defined"
        if value["kappa"] is None
        else f"Cohen's kappa {value['kappa']:.2f}, "
        f"{value['kappa_low']:.2f} to {value['kappa_high']:.2f}"
    )
    return f"{percent(value['agree_percent'])} of {value['rows']} equal; {kappa}"


def scorer_name(name: str) -> str:
    """What a scorer is called."""
    return SCORER_NAMES.get(name, name)


def percent(value: float | None) -> str:
    """A percentage with one decimal; a dash where there is none."""
    return "-" if value is None else f"{value:.1f} %"


def number(value: float | None) -> str:
    """A count with separated thousands, or a decimal as it is; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def dollars(value: float | None) -> str:
    """An amount, with more decimals where it is small."""
    if value is None:
        return "price unknown"
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:,.2f}"


def _prompts(split: str) -> str:
    return "coverage prompts" if split == "overall" else f"{split} prompts"
