"""Prompts with seed pairs in front, which show an untuned model the task."""

import hashlib
from collections.abc import Sequence

from core.conversation import transcript
from core.example_budget import fitting
from core.records import SEED_SPLIT, CoverageRow

_MESSAGE = "Message: "
_ANSWER = "\nAnswer: "
_BETWEEN = "\n\n"


def few_shot_prompt(
    row: CoverageRow,
    rows: Sequence[CoverageRow],
    count: int,
    instruction: str = "",
    *,
    tokens: int = 8000,
) -> str:
    """Return the row's prompt after an instruction and `count` seed pairs.

    Args:
        row: The coverage row to be answered; it is never among its own examples.
        rows: All coverage rows; only seeds are shown.
        count: Pairs to show; fewer if there are fewer seeds.
        instruction: What a good answer is; empty for none.
        tokens: Budget for the pairs; see `fitting`.

    Returns:
        A text that ends where the answer has to begin. The pairs are chosen by a hash of their ids
        and are the same for every row that is not one of them: one prompt, as a team would write
        it, whose shared prefix a generator computes once.
    """
    seeds = [seed for seed in rows if seed.split == SEED_SPLIT and seed.id != row.id]
    ranked = sorted(seeds, key=lambda seed: _rank(seed.id))
    shown = fitting(ranked, count=count, tokens=tokens)
    pairs = [f"{_MESSAGE}{transcript(seed.prompt)}{_ANSWER}{seed.output}" for seed in shown]
    asked = f"{_MESSAGE}{transcript(row.prompt)}{_ANSWER}".rstrip(" ")
    return _BETWEEN.join([*([instruction] if instruction else []), *pairs, asked])


def first_answer(response: str) -> str:
    """Return the response up to where the model begins to invent the next message.

    An untuned model has not learned to end its turn after the answer; without this cut it would
    fail for its form alone.
    """
    return response.partition(_BETWEEN + _MESSAGE.strip())[0].strip()


def _rank(seed_id: str) -> bytes:
    return hashlib.sha256(seed_id.encode()).digest()
