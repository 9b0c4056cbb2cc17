"""Free, deterministic scorers beside the judge; each gives a response a score and can be a gate."""

import importlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from components.errors import UserError
from components.llm_evaluator.settings import EvaluatorSettings

EXACT_MATCH = "exact_match"
JSON_FIELDS = "json_fields"
ROUGE_L = "rouge_l"
EMBEDDING = "embedding"

_WORD = re.compile(r"\w+")
EmbedFn = Callable[[list[str]], Sequence[Sequence[float]]]


def exact_match(output: str, response: str) -> float:
    """1 when both texts are the same but for Unicode form and white space, else 0."""
    return float(_normalized(output) == _normalized(response))


def json_fields(output: str, response: str) -> float | None:
    """The share of JSON fields in which a response agrees with the desired output.

    Args:
        output: The desired output.
        response: The response.

    Returns:
        Equal fields over all fields that either object has, nested ones by their path. 0 when the
        response is no JSON object, None when the desired output is none.
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
    """F1 of the longest common subsequence of words, in lower case, without stemming.

    Two texts without any word score 1 when they are the same and 0 otherwise.

    Reference:
        C.-Y. Lin, ROUGE: A package for automatic evaluation of summaries, ACL 2004 workshop,
        section 3.1, with beta = 1.
    """
    wanted, given = (_WORD.findall(text.lower()) for text in (output, response))
    if not wanted or not given:
        return exact_match(output, response) if not wanted and not given else 0.0
    return 2 * _common_subsequence(wanted, given) / (len(wanted) + len(given))


def load_embed_fn(dotted: str) -> EmbedFn:
    """The function behind a dotted path.

    Raises:
        UserError: The path names no function.
    """
    module_name, _, name = dotted.rpartition(".")
    try:
        function: EmbedFn = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"embed_fn {dotted!r} cannot be loaded: {error}. Give the dotted path of a function "
            "that turns a list of texts into a list of vectors, or leave it empty."
        ) from error
    return function


def score_all(
    pairs: Sequence[tuple[str, str]], embed_fn: EmbedFn | None = None
) -> list[dict[str, float | None]]:
    """The scores of (desired output, response) pairs, by the scorer's name."""
    scores: list[dict[str, float | None]] = [
        {
            EXACT_MATCH: exact_match(output, response),
            JSON_FIELDS: json_fields(output, response),
            ROUGE_L: round(rouge_l(output, response), 4),
        }
        for output, response in pairs
    ]
    if embed_fn:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = dict(zip(texts, embed_fn(texts), strict=True))
        for row, (output, response) in zip(scores, pairs, strict=True):
            row[EMBEDDING] = round(_cosine(vectors[output], vectors[response]), 4)
    return scores


def thresholds(settings: EvaluatorSettings) -> Mapping[str, float]:
    """The score from which each scorer counts a prompt as covered."""
    values = {
        EXACT_MATCH: 1.0,
        JSON_FIELDS: settings.json_fields_threshold,
        ROUGE_L: settings.rouge_l_threshold,
    }
    return values | ({EMBEDDING: settings.embedding_threshold} if settings.embed_fn else {})


def _normalized(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _fields(text: str) -> dict[tuple[str, ...], Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return dict(_leaves(value, ())) if isinstance(value, dict) else None


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in _leaves(child, (*path, key))]
    return [(path, value)]


def _same(one: Any, other: Any) -> bool:
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


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norms = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / norms if norms else 0.0
