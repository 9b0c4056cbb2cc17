"""Logged exchanges that resemble nothing but each other's kind."""

import random

from core.records import CoverageRow

_WORDS = [
    first + second
    for first in ("bra", "cle", "dro", "fli", "gru", "hano", "jupi", "kelo", "lami", "mor")
    for second in ("ber", "dine", "fen", "gart", "hill", "kan", "lode", "mint", "nor", "pus")
]


def logged_rows(seeds, count, words=14):
    """Return rows with random prompts, each with the tags and the output of a seed in turn."""
    rng = random.Random(7)
    rows = []
    for number in range(count):
        like = seeds[number % len(seeds)]
        prompt = " ".join(rng.choices(_WORDS, k=words))
        rows.append(CoverageRow(f"log-{number}", prompt, like.output, "logged", like.tags))
    return rows
