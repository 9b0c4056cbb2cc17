"""Measures how many planted leaks decontamination finds, and how many innocent prompts it takes.

Usage: python -m benchmarks.dedup_leaks

Leaks are hand-written paraphrases (`dedup_leaks.json`) and edits of the coverage prompts: typing
errors, left out words, moved words, a letter written around them, another message appended.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

from components.records import CoverageRow
from components.synth_data_gen.decontaminate import CoverageIndex
from components.synth_data_gen.settings import SynthSettings

_DATA = Path(__file__).with_name("dedup_leaks.json")
_REPEATS = 5  # each random edit of each prompt
_GREETING = "Hello dear support team, I hope you are doing well."
_CLOSING = "Thank you very much in advance and kind regards, Maria Gonzalez, customer since 2019"

Edit = Callable[[str, random.Random], str]


def typing_errors(text: str, rng: random.Random, rate: float = 0.04) -> str:
    """Leaves out, doubles or swaps letters."""
    letters = list(text)
    for place in range(len(letters) - 1):
        if letters[place].isalpha() and rng.random() < rate:
            kind = rng.randrange(3)
            if kind == 0:
                letters[place] = ""
            elif kind == 1:
                letters[place] *= 2
            else:
                letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def fewer_words(text: str, rng: random.Random, rate: float = 0.2) -> str:
    """Leaves words out."""
    return " ".join(word for word in text.split() if rng.random() >= rate)


def moved_words(text: str, rng: random.Random) -> str:
    """Puts the text's end before its beginning."""
    words = text.split()
    cut = rng.randrange(1, len(words))
    return " ".join(words[cut:] + words[:cut])


def in_a_letter(text: str, rng: random.Random) -> str:
    """Writes greeting and closing around the text, and a few typing errors into it."""
    return f"{_GREETING} {typing_errors(text, rng, 0.02)} {_CLOSING}"


def main() -> None:
    """Prints a line per kind of prompt: how many reach the threshold."""
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    triples: list[list[str]] = data["triples"]
    innocent: list[str] = data["independent"]
    prompts = [triple[0] for triple in triples]
    index = CoverageIndex([CoverageRow(str(n), p, "", "seed") for n, p in enumerate(prompts)])
    rng = random.Random(0)
    edits: dict[str, Edit] = {
        "verbatim, upper case": lambda text, _: text.upper(),
        "typing errors": typing_errors,
        "a fifth of the words left out": fewer_words,
        "moved words": moved_words,
        "in a letter": in_a_letter,
        "another message appended": lambda text, r: f"{text} {r.choice(innocent)}",
    }
    kinds = {
        name: [edit(prompt, rng) for prompt in prompts for _ in range(_REPEATS)]
        for name, edit in edits.items()
    }
    kinds["paraphrase, most words kept"] = [triple[1] for triple in triples]
    kinds["paraphrase with typing errors"] = [
        typing_errors(triple[1], rng) for triple in triples for _ in range(_REPEATS)
    ]
    kinds["paraphrase in other words"] = [triple[2] for triple in triples]
    kinds["innocent"] = innocent
    kinds["two innocent messages joined"] = [f"{a} {b}" for a in innocent for b in innocent[:10]]
    threshold = SynthSettings().leak_similarity
    print(f"threshold {threshold}, {len(prompts)} coverage prompts")
    for name, texts in kinds.items():
        near = [index.nearest(text) for text in texts]
        caught = sum(n is not None and n.similarity >= threshold for n in near)
        print(f"{name}: {caught} of {len(texts)} dropped ({100 * caught / len(texts):.1f} %)")


if __name__ == "__main__":
    main()
