"""Deduplication of a planted corpus, against distilabel's MinHash step on the same rows.

Usage: python -m benchmarks.dedup [--rows 100000]

The corpus is invented sentences, a tenth exact copies (in other case and punctuation) and a fifth
edited copies. Both programs run one after the other in this run; distilabel gets normalized texts,
since its step does not normalize. Ends with an error where a limit of ours is missed, or where
distilabel is faster.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks import processes
from task.duplicates import find_duplicates
from task.normalization import normalize
from task.similarity import jaccard, shingles

_THRESHOLD = 0.7
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
_MAX_PAIRS_LEFT = 0.005  # of the similar pairs
_MAX_DROPPED_WRONGLY = 0.01  # of the dropped rows
PEERS_PYTHON = os.environ.get("DISTILABEL_PYTHON", ".venv-distilabel/bin/python")


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
    """Make a corpus of which a tenth are exact copies and a fifth are edited copies.

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
    """Compare a selection with the exact similarity of all planted pairs.

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
    """Run this repository's deduplication: kept rows and seconds."""
    start = time.perf_counter()
    kept = [duplicate is None for duplicate in find_duplicates(texts, _THRESHOLD)]
    return kept, time.perf_counter() - start


def run_distilabel(texts: list[str]) -> tuple[list[bool], float]:
    """Distilabel's MinHash step in its own environment: kept rows and seconds, imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts))
        result = processes.peer(
            PEERS_PYTHON, "dedup_with_distilabel.py", str(path), str(_THRESHOLD)
        )
    return [bool(keep) for keep in result["kept"]], float(result["seconds"])


def misses(quality: Quality) -> list[str]:
    """Name the limits that a selection of rows misses."""
    found = []
    if quality.exact_left:
        found.append(f"{quality.exact_left} exact duplicates are left")
    if quality.pairs_left > _MAX_PAIRS_LEFT * quality.pairs:
        found.append(f"{quality.pairs_left} of {quality.pairs} similar pairs are left")
    if quality.dropped_wrongly > _MAX_DROPPED_WRONGLY * quality.dropped:
        found.append(f"{quality.dropped_wrongly} of {quality.dropped} rows are dropped wrongly")
    return found


def main() -> None:
    """Print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    corpus = planted_corpus(arguments.rows, arguments.seed)
    runs = {"ours": run_here(corpus.texts)}
    processes.progress("dedup: distilabel")
    runs["distilabel's MinHashDedup"] = run_distilabel([normalize(text) for text in corpus.texts])
    print(
        f"{arguments.rows} rows, Jaccard of character 5-grams >= {_THRESHOLD}.\n\n"
        "| program | seconds | kept | exact duplicates left | similar pairs left |"
        " dropped wrongly |\n|---|---|---|---|---|---|"
    )
    qualities = {name: measure(corpus, kept) for name, (kept, _) in runs.items()}
    for name, quality in qualities.items():
        print(
            f"| {name} | {runs[name][1]:.1f} | {quality.kept} | {quality.exact_left} |"
            f" {_share(quality.pairs_left, quality.pairs)} |"
            f" {_share(quality.dropped_wrongly, quality.dropped)} |"
        )
    ours, theirs = (seconds for _, seconds in runs.values())
    print(f"\nOurs takes {ours / theirs:.2f} times as long as distilabel's step.")
    problems = misses(qualities["ours"])
    if ours >= theirs:
        problems.append(f"ours took {ours:.1f} s and distilabel {theirs:.1f} s")
    if problems:
        raise SystemExit(f"Missed: {'; '.join(problems)}.")


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(1, whole):.3f} %)"


if __name__ == "__main__":
    main()
