"""The registry of scorers: deterministic, each scores a response and can be the gate."""

import dataclasses
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EXACT_MATCH = "exact_match"
JSON_FIELDS = "json_fields"
ROUGE_L = "rouge_l"
EMBEDDING = "embedding"

_WORD = re.compile(r"\w+")
# Texts to an array of shape `(texts, dimensions)`, or to lists.
Embed = Callable[[list[str]], "npt.ArrayLike"]
Pairs = Sequence[tuple[str, str]]  # reference and response
Scores = Sequence[float | None]


@dataclasses.dataclass(frozen=True)
class Scorer:
    """An entry of `SCORERS`.

    Attributes:
        score: Scores pairs, each None where the scorer does not apply.
        threshold: The score from which a prompt counts as covered, or the field of
            `EvaluatorSettings` that contains it.
        needs_embedder: Whether it is left out without an embedding model.
        fits_json: Whether its rate says something where all references are JSON.
    """

    score: Callable[[Pairs, Embed | None], Scores]
    threshold: float | str
    needs_embedder: bool = False
    fits_json: bool = True


def of_each(
    function: Callable[[str, str], float | None], digits: int | None = None
) -> Callable[[Pairs, Embed | None], Scores]:
    """Return what scores pairs one by one, rounded to decimals where `digits` is given."""

    def score(pairs: Pairs, embed: Embed | None) -> Scores:
        del embed
        found = [function(output, response) for output, response in pairs]
        return found if digits is None else [_rounded(value, digits) for value in found]

    return score


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def exact_match(output: str, response: str) -> float:
    """Return 1 when both texts are equal after Unicode and whitespace normalization, else 0."""
    return float(normalized(output) == normalized(response))


def json_fields(output: str, response: str) -> float | None:
    """Return the share of JSON fields in which a response agrees with the reference.

    Args:
        output: The reference.
        response: The response.

    Returns:
        Equal fields over all fields that either object has, nested ones by their path. 0 when the
        response is no JSON object, None when the reference is none.
    """
    wanted = _fields(output)
    if wanted is None:
        return None
    given = _fields(response)
    if given is None:
        return 0.0
    equal = sum(path in given and _same(given[path], value) for path, value in wanted.items())
    return equal / (len(wanted.keys() | given.keys()) or 1)


def rouge_l(output: str, response: str) -> float:
    """Return F1 of the longest common subsequence of words, in lower case, without stemming.

    Two texts without any word score 1 when they are the same and 0 otherwise.

    Reference:
        C.-Y. Lin, ROUGE: A package for automatic evaluation of summaries, ACL 2004 workshop,
        section 3.1, with beta = 1.
    """
    wanted, given = (_WORD.findall(text.lower()) for text in (output, response))
    if not wanted or not given:
        return exact_match(output, response) if not wanted and not given else 0.0
    return 2 * _common_subsequence(wanted, given) / (len(wanted) + len(given))


def normalized(text: str) -> str:
    """Return the text in Unicode's form NFC with single spaces and none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _fields(text: str) -> dict[tuple[str, ...], JsonValue] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return dict(_leaves(value, ())) if isinstance(value, dict) else None


def _leaves(value: JsonValue, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], JsonValue]]:
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in _leaves(child, (*path, key))]
    return [(path, value)]


def _same(one: JsonValue, other: JsonValue) -> bool:
    # In Python True == 1, in JSON it is not.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    lengths = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for index, candidate in enumerate(other, start=1):
            above = lengths[index]
            lengths[index] = diagonal + 1 if word == candidate else max(above, lengths[index - 1])
            diagonal = above
    return lengths[-1]


def cosines(pairs: Pairs, embed: Embed | None) -> list[float]:
    """Return cosine similarities; embedding models take no empty text: that is compared as is."""
    assert embed is not None
    import numpy as np  # not installed with a gateway alone, which drills, too

    texts = list(dict.fromkeys(text for pair in pairs for text in pair if text.strip()))
    vectors = dict(zip(texts, np.asarray(embed(texts), np.float64), strict=True)) if texts else {}
    return [
        round(_cosine(vectors[output], vectors[response]), 4)
        if output in vectors and response in vectors
        else exact_match(output, response)
        for output, response in pairs
    ]


def _cosine(one: "npt.NDArray[np.float64]", other: "npt.NDArray[np.float64]") -> float:
    import numpy as np

    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / norms) if norms else 0.0


SCORERS = {
    EXACT_MATCH: Scorer(of_each(exact_match), 1.0),
    JSON_FIELDS: Scorer(of_each(json_fields), "json_fields_threshold"),
    # Of JSON objects it counts keys and punctuation: it was 92 % where 17 % were right.
    ROUGE_L: Scorer(of_each(rouge_l, digits=4), "rouge_l_threshold", fits_json=False),
    EMBEDDING: Scorer(cosines, "embedding_threshold", needs_embedder=True),
}
"""Scorers by `evaluator.gate.scorer`; one entry adds one."""


def score_all(pairs: Pairs, embed: Embed | None = None) -> list[dict[str, float | None]]:
    """Score (reference, response) pairs; return the scores by the scorer's name.

    Args:
        pairs: The pairs.
        embed: Turns texts into vectors; None leaves out the scorers that need it.
    """
    columns = {
        name: scorer.score(pairs, embed)
        for name, scorer in SCORERS.items()
        if embed or not scorer.needs_embedder
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def needs_embedder(name: str) -> bool:
    """Return whether the judge or scorer of that name needs an embedding model."""
    return name in SCORERS and SCORERS[name].needs_embedder
