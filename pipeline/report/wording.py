"""Sentences of the report that say something about the loop."""

_STOP_SENTENCES = {
    "threshold_met": "The loop stopped because the threshold was reached.",
    "no_progress": "The loop stopped because further rounds brought no better coverage rate.",
    "budget_spent": "The loop stopped because the budget for the service LLM was spent.",
    "max_rounds": "The loop stopped after the highest number of rounds it was allowed.",
    None: "The loop has not ended: this page shows the rounds finished so far.",
}


def stop_sentence(stop_reason: str | None) -> str:
    """Why the loop ended."""
    return _STOP_SENTENCES[stop_reason]


def start(value: int | str | None) -> str:
    """The model that a training started from: a round's, another one's URI, or the base model."""
    if value is None:
        return "base model"
    return f"round {value}" if isinstance(value, int) else value
