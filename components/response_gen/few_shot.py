"""Prompts with seed pairs in front, so that an untuned model sees what is wanted."""

import hashlib
from collections.abc import Sequence

from components.records import SEED_SPLIT, CoverageRow

_MESSAGE = "Message: "
_ANSWER = "\nAnswer: "
_BETWEEN = "\n\n"


def few_shot_prompt(
    row: CoverageRow, rows: Sequence[CoverageRow], count: int, instruction: str = ""
) -> str:
    """The row's prompt after an instruction and `count` seed pairs.

    Args:
        row: The coverage row to be answered; it is never among its own examples.
        rows: All coverage rows; only seeds are shown.
        count: Pairs to show; fewer where there are not so many seeds.
        instruction: What a good answer is; empty for none.

    Returns:
        A text that ends where the answer has to begin. The pairs are picked by a hash of their ids
        and are the same for every row that is not among them: one prompt, as a team would write it,
        whose beginning a generator has to compute only once.
    """
    seeds = [seed for seed in rows if seed.split == SEED_SPLIT and seed.id != row.id]
    shown = sorted(seeds, key=lambda seed: _rank(seed.id))[:count]
    pairs = [f"{_MESSAGE}{seed.prompt}{_ANSWER}{seed.output}" for seed in shown]
    asked = f"{_MESSAGE}{row.prompt}{_ANSWER}".rstrip(" ")
    return _BETWEEN.join([*([instruction] if instruction else []), *pairs, asked])


def first_answer(response: str) -> str:
    """The response up to where the model goes on to make up a next message.

    An untuned model has not learned to end its turn after the answer; without this cut it would
    fail for its form alone.
    """
    return response.partition(_BETWEEN + _MESSAGE.strip())[0].strip()


def _rank(seed_id: str) -> bytes:
    return hashlib.sha256(seed_id.encode()).digest()
