"""Sentences and formats of the report."""

from collections.abc import Mapping
from typing import Any

MODEL_NAMES = {
    "tuned": "Tuned model",
    "base": "Untuned model",
    "few_shot": "Untuned model with examples in its prompt",
    "service": "Service LLM (ceiling)",
}

_NO_BREAK_SPACE = "\u00a0"

_STOP_SENTENCES = {
    "threshold_met": "The loop stopped because the threshold was reached.",
    "no_progress": "The loop stopped because further rounds brought no better coverage rate.",
    "budget_spent": "The loop stopped because the budget for the service LLM was spent.",
    "max_rounds": "The loop stopped after the highest number of rounds it was allowed.",
    None: "The loop has not ended: this page shows the rounds finished so far.",
}


def headline(best: Mapping[str, Any]) -> str:
    """Whether the best round's model reached the threshold, in one plain sentence."""
    gate, rate = best["gate"], best["gate"]["rate"]
    verb = "reaches" if best["blessed"] else "stays below"
    scorer = gate.get("scorer", "judge")
    by = "" if scorer == "judge" else f" by {scorer}"
    counts = gate.get("statistic", "point") == "lower"
    bound = "; the lower end of the interval is what counts" if counts else ""
    sentence = (
        f"The tuned model of round {best['round']} {verb} the threshold of "
        f"{gate['threshold_percent']:g} %: it covers {rate['rate_percent']:.1f} % of the "
        f"{_prompts(gate['split'])}{by} ({rate['covered']} of {rate['total']}, 95 % interval "
        f"{rate['low_percent']:.1f} to {rate['high_percent']:.1f} %{bound})."
    )
    return sentence.replace(" %", f"{_NO_BREAK_SPACE}%")


def caveat(best: Mapping[str, Any]) -> str | None:
    """What chance may have to do with it; None where the interval is on one side."""
    gate, rate = best["gate"], best["gate"]["rate"]
    if not rate["low_percent"] < gate["threshold_percent"] < rate["high_percent"]:
        return None
    return (
        f"The threshold lies inside the interval: with {rate['total']} answers, chance alone "
        "may decide on which side of it the rate falls. More coverage prompts make it narrower."
    )


def stop_sentence(stop_reason: str | None) -> str:
    """Why the loop ended."""
    return _STOP_SENTENCES[stop_reason]


def comparison(change: Mapping[str, Any]) -> str:
    """How the tuned model differs from a baseline on the same prompts."""
    p_value = "p < 0.001" if change["p_value"] < 0.001 else f"p = {change['p_value']:.3f}"
    chance = "" if change["significant"] else ", which may be chance"
    return (
        f"{change['difference_points']:+.1f} points: {change['gained']} prompts gained, "
        f"{change['lost']} lost ({p_value}{chance})"
    )


def percent(value: float | None) -> str:
    """A percentage with one decimal; a dash where there is none."""
    return "-" if value is None else f"{value:.1f} %"


def number(value: float | None) -> str:
    """A count with separated thousands, or a decimal as it is; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def start(value: int | str | None) -> str:
    """The model that a training started from: a round's, another one's URI, or the base model."""
    if value is None:
        return "base model"
    return f"round {value}" if isinstance(value, int) else value


def dollars(value: float | None) -> str:
    """An amount, with more decimals where it is small."""
    if value is None:
        return "price unknown"
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:,.2f}"


def _prompts(split: str) -> str:
    return "coverage prompts" if split == "overall" else f"{split} prompts"
