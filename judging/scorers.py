"""Scorers besides the judge, deterministic; each scores a response and can be the gate."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from judging.settings import EvaluatorSettings

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


def score_all(
    pairs: Sequence[tuple[str, str]], embed: Embed | None = None
) -> list[dict[str, float | None]]:
    """Score (reference, response) pairs; return the scores by the scorer's name.

    Args:
        pairs: The pairs.
        embed: Turns texts into vectors; None leaves the scorer `embedding` out.
    """
    scores: list[dict[str, float | None]] = [
        {
            EXACT_MATCH: exact_match(output, response),
            JSON_FIELDS: json_fields(output, response),
            ROUGE_L: round(rouge_l(output, response), 4),
        }
        for output, response in pairs
    ]
    if embed:
        for row, cosine in zip(scores, _cosines(pairs, embed), strict=True):
            row[EMBEDDING] = round(cosine, 4)
    return scores


def thresholds(settings: EvaluatorSettings) -> Mapping[str, float]:
    """Return the score from which each scorer counts a prompt as covered."""
    return {
        EXACT_MATCH: 1.0,
        JSON_FIELDS: settings.json_fields_threshold,
        ROUGE_L: settings.rouge_l_threshold,
        EMBEDDING: settings.embedding_threshold,
    }


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


def _cosines(pairs: Sequence[tuple[str, str]], embed: Embed) -> list[float]:
    """Return cosine similarities; embedding models take no empty text: that is compared as is."""
    import numpy as np  # not installed with a gateway alone, which drills, too

    texts = list(dict.fromkeys(text for pair in pairs for text in pair if text.strip()))
    vectors = dict(zip(texts, np.asarray(embed(texts), np.float64), strict=True)) if texts else {}
    return [
        _cosine(vectors[output], vectors[response])
        if output in vectors and response in vectors
        else exact_match(output, response)
        for output, response in pairs
    ]


def _cosine(one: "npt.NDArray[np.float64]", other: "npt.NDArray[np.float64]") -> float:
    import numpy as np

    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / norms) if norms else 0.0
