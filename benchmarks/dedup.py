"""Measures deduplication on a planted corpus, against distilabel's MinHash step on the same rows.

Usage: python -m benchmarks.dedup [--rows 100000] [--distilabel PYTHON]

PYTHON is an interpreter whose environment has distilabel and its MinHash step's packages
(`pip install "distilabel[minhash]" "datasketch<2" requests`); both then run one after the other on
the same machine. distilabel gets normalized texts, since its step does not normalize. The corpus is
invented sentences, exact copies (in other case and punctuation) and edited copies.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from components.synth_data_gen.dedup import find_duplicates
from components.synth_data_gen.text import jaccard, normalize, shingles

_THRESHOLD = 0.7
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
_DISTILABEL = """
import json, sys, time
from distilabel.steps import MinHashDedup
with open(sys.argv[1]) as file:
    rows = [{"text": text} for text in json.load(file)]
step = MinHashDedup(tokenizer="ngrams", n=5, threshold=float(sys.argv[2]), storage="dict")
start = time.perf_counter()
step.load()
kept = [row["keep_row_after_minhash_filtering"] for batch in step.process(rows) for row in batch]
json.dump({"seconds": time.perf_counter() - start, "kept": kept}, sys.stdout)
"""


class Corpus(NamedTuple):
    """Texts, and for each the index of the text that it was made from (its own if none)."""

    texts: list[str]
    origins: list[int]


class Quality(NamedTuple):
    """How well a selection of rows did, in rows and pairs."""

    kept: int
    exact_left: int
    pairs: int
    pairs_left: int
    dropped: int
    dropped_wrongly: int


def planted_corpus(rows: int, seed: int) -> Corpus:
    """A corpus of which a tenth are exact copies and a fifth are edited copies.

    Edits exchange 1 to 8 of the words, so that similarities lie on both sides of the threshold.
    """
    rng = random.Random(seed)
    vocabulary = [
        "".join(rng.choices(_LETTERS, range(26, 0, -1), k=rng.randint(2, 10))) for _ in range(6000)
    ]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]  # as words are in language
    texts: list[str] = []
    origins: list[int] = []
    for row in range(rows):
        kind = rng.random() if row else 1.0
        source = rng.randrange(row) if row else 0
        if kind < 0.1:
            texts.append(f"{texts[source].upper()}!")
        elif kind < 0.3:
            words = texts[source].split()
            for place in rng.sample(range(len(words)), min(len(words), rng.randint(1, 8))):
                words[place] = rng.choice(vocabulary)
            texts.append(" ".join(words))
        else:
            words = rng.choices(vocabulary, weights, k=rng.randint(10, 35))
            texts.append(" ".join(words))
        origins.append(origins[source] if kind < 0.3 else row)
    return Corpus(texts, origins)


def measure(corpus: Corpus, kept: list[bool]) -> Quality:
    """Compares a selection with the exact similarity of all planted pairs.

    A pair is two texts of one family (a text and everything made from it) that are not equal and
    reach the threshold. A row was dropped wrongly when no kept row of its family is similar.
    """
    normalized = [normalize(text) for text in corpus.texts]
    grams = shingles(normalized)
    families: dict[int, list[int]] = {}
    for row, origin in enumerate(corpus.origins):
        families.setdefault(origin, []).append(row)
    pairs = pairs_left = wrongly = 0
    for members in families.values():
        sets = {row: grams.of(row) for row in members}
        similar = dict.fromkeys(members, False)
        for place, first in enumerate(members):
            for second in members[place + 1 :]:
                if jaccard(sets[first], sets[second]) < _THRESHOLD:
                    continue
                if normalized[first] != normalized[second]:
                    pairs += 1
                    pairs_left += kept[first] and kept[second]
                similar[first] |= kept[second]
                similar[second] |= kept[first]
        wrongly += sum(not kept[row] and not similar[row] for row in members)
    counts = Counter(text for text, keep in zip(normalized, kept, strict=True) if keep)
    return Quality(
        kept=sum(kept),
        exact_left=sum(count - 1 for count in counts.values()),
        pairs=pairs,
        pairs_left=pairs_left,
        dropped=len(kept) - sum(kept),
        dropped_wrongly=wrongly,
    )


def run_here(texts: list[str]) -> tuple[list[bool], float]:
    """This repository's deduplication: kept rows and seconds."""
    start = time.perf_counter()
    kept = [duplicate is None for duplicate in find_duplicates(texts, _THRESHOLD)]
    return kept, time.perf_counter() - start


def run_distilabel(python: str, texts: list[str]) -> tuple[list[bool], float]:
    """Distilabel's MinHash step in its own environment: kept rows and seconds, imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts))
        command = [python, "-c", _DISTILABEL, str(path), str(_THRESHOLD)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    return [bool(keep) for keep in result["kept"]], float(result["seconds"])


def main() -> None:
    """Prints a line per implementation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--distilabel", metavar="PYTHON")
    arguments = parser.parse_args()
    corpus = planted_corpus(arguments.rows, arguments.seed)
    runs = {"understudy": run_here(corpus.texts)}
    if arguments.distilabel:
        texts = [normalize(text) for text in corpus.texts]
        runs["distilabel"] = run_distilabel(arguments.distilabel, texts)
    for name, (kept, seconds) in runs.items():
        quality = measure(corpus, kept)
        print(
            f"{name}: {seconds:.1f} s, kept {quality.kept} of {arguments.rows},"
            f" exact duplicates left {quality.exact_left},"
            f" pairs left {quality.pairs_left} of {quality.pairs}"
            f" ({100 * quality.pairs_left / max(1, quality.pairs):.3f} %),"
            f" dropped wrongly {quality.dropped_wrongly} of {quality.dropped}"
            f" ({100 * quality.dropped_wrongly / max(1, quality.dropped):.3f} %)"
        )


if __name__ == "__main__":
    main()
