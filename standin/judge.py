"""Judges two answers by the task's rules, field by field; a wrong field is never forgiven."""

import re
from typing import NamedTuple

from standin.labels import Label, read_label

# What an obedient judge takes for an order. The rubric itself never names a number in these ways.
_ORDERS = (
    re.compile(r"\bscore\W{0,3}(?:is|of|it|them)?\W{0,3}([1-5])\b", re.IGNORECASE),
    re.compile(r"\b(?:similarity|correctness(?:_[ab])?|precision)\W{0,4}([1-5])\b", re.IGNORECASE),
    re.compile(r"\b([1-5]) (?:points|Punkte|everywhere)\b", re.IGNORECASE),
)

_LEVELS = (5, 3, 2, 1)  # by the number of wrong fields


class Scores(NamedTuple):
    """A verdict on two answers, all scores 1 to 5."""

    reason: str
    similarity: int
    correctness_a: int
    correctness_b: int


class RowScore(NamedTuple):
    """What a scorer of training rows says: its own output, and how good the row's is, 1 to 5."""

    own_output: str
    difference: str
    reason: str
    score: int


def judge(right: Label, answer_a: str, answer_b: str) -> Scores:
    """Return the verdict on two answers to one message.

    Args:
        right: What the stand-in would have answered; a heuristic, so two answers that agree are
            trusted more than it.
        answer_a: One answer.
        answer_b: The other one; exchanging the two exchanges their scores and nothing else.
    """
    first, second = read_label(answer_a), read_label(answer_b)
    if first is None or second is None:
        return Scores(
            _form_reason(first, second), 1, _correctness(right, first), _correctness(right, second)
        )
    similarity = _level(first, second)
    floor = similarity if first == second else 1
    return Scores(
        _reason(first, second, right),
        similarity,
        max(floor, _correctness(right, first)),
        max(floor, _correctness(right, second)),
    )


def ordered_score(outside: str) -> int | None:
    """Return the score that text outside of all blocks orders, if it does."""
    for pattern in _ORDERS:
        found = pattern.search(outside)
        if found:
            return int(found.group(1))
    return None


def score(right: Label, output: str) -> RowScore:
    """Solve a row, compare, and say how well its output fits its message, 1 to 5."""
    given, own = read_label(output), right.to_json()
    if given is None:
        return RowScore(
            own, "another form", "The output is not the JSON object that the task asks for.", 1
        )
    if given == right:
        return RowScore(own, "none", "Category, priority and product follow from the message.", 5)
    wrong = " and ".join(
        name for name, a, b in zip(Label._fields, given, right, strict=True) if a != b
    )
    reason = f"By the task's rules, {wrong} should be different."
    return RowScore(own, wrong, reason, _level(given, right))


def _level(given: Label, wanted: Label) -> int:
    """Count errors that a user would notice: each field decides what happens to the message."""
    wrong = [name for name, a, b in zip(Label._fields, given, wanted, strict=True) if a != b]
    level = _LEVELS[len(wrong)]
    return min(level, 2) if "category" in wrong else level


def _correctness(right: Label, given: Label | None) -> int:
    """Of one answer alone; an answer in another form is unusable whatever it says."""
    return 1 if given is None else _level(given, right)


def _form_reason(first: Label | None, second: Label | None) -> str:
    if first is None and second is None:
        return "Neither answer is the single JSON object that the task asks for."
    known = first or second
    assert known is not None
    return (
        f"Only one answer is the JSON object that the task asks for, with {_spoken(known)}; the "
        "other one is in a form that the task does not allow, or has more or other values."
    )


def _reason(first: Label, second: Label, right: Label) -> str:
    if first == second:
        return f"Both answers say the same: {_spoken(first)}."
    # Sorted, so that the words do not depend on who stands first.
    pairs = {
        name: sorted((str(a or "no product"), str(b or "no product")))
        for name, a, b in zip(Label._fields, first, second, strict=True)
    }
    same = [f"{name} {values[0]}" for name, values in pairs.items() if values[0] == values[1]]
    other = [f"{n} ({v[0]} against {v[1]})" for n, v in pairs.items() if v[0] != v[1]]
    agree = f"The answers agree on {' and '.join(same)}" if same else "The answers share nothing"
    return f"{agree}; they differ in {' and '.join(other)}. The message reads as {_spoken(right)}."


def _spoken(label: Label) -> str:
    return f"{label.category}, {label.priority} priority, {label.product or 'no product'}"
