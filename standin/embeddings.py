"""Vectors of texts, by their letters: it is no language model, and knows nothing of meaning.

References:
    https://ai.google.dev/api/embeddings, https://platform.openai.com/docs/api-reference/embeddings,
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from standin.errors import Body, bad_request
from standin.protocol import MODEL_VERSION, count_tokens
from standin.routes import Kind, Route

KINDS: tuple[Kind, ...] = ("embed", "embed one", "predict")
_DIMENSIONS = 256
_GRAM_CHARS = 3


class Embedding(NamedTuple):
    """What is to be embedded.

    Attributes:
        model: The model's name.
        texts: The texts.
        dimensions: Numbers of each vector.
        kind: What the request asked for; one of `KINDS`.
        is_openai: Whether it came in OpenAI's protocol.
    """

    model: str
    texts: tuple[str, ...]
    dimensions: int
    kind: Kind
    is_openai: bool

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(map(count_tokens, self.texts))


def _openai(body: Body) -> tuple[tuple[str, ...], int | str | None]:
    given = body["input"]
    return (given,) if isinstance(given, str) else tuple(map(str, given)), body.get("dimensions")


def _studio(body: Body) -> tuple[tuple[str, ...], int | str | None]:
    requests = body["requests"]
    texts = tuple(_text(request["content"]) for request in requests)
    return texts, requests[0].get("outputDimensionality")


def _vertex(body: Body) -> tuple[tuple[str, ...], int | str | None]:
    config = body.get("embedContentConfig") or body
    return (_text(body["content"]),), config.get("outputDimensionality")


def _vertex_predict(body: Body) -> tuple[tuple[str, ...], int | str | None]:
    instances = body["instances"]
    if not instances:
        raise ValueError("no instances")
    texts = tuple(str(instance["content"]) for instance in instances)
    return texts, (body.get("parameters") or {}).get("outputDimensionality")


def _text(content: Body) -> str:
    return str(content["parts"][0]["text"])


_READERS: dict[tuple[Kind, bool], Callable[[Body], tuple[tuple[str, ...], int | str | None]]] = {
    ("embed", True): _openai,
    ("embed", False): _studio,
    ("embed one", False): _vertex,
    ("predict", False): _vertex_predict,
}


def read(route: Route, body: Body) -> Embedding:
    """Return what a request asks for, in whichever protocol.

    Raises:
        HttpError: There is nothing to embed.
    """
    try:
        model = str(body["model"]) if route.is_openai else route.name
        texts, dimensions = _READERS[route.kind, route.is_openai](body)
        return Embedding(
            model, texts, int(dimensions or _DIMENSIONS), route.kind, is_openai=route.is_openai
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise bad_request(f"The body is not a request for embeddings: {error!r}.") from error


def reply(embedding: Embedding) -> Body:
    """Return the vectors, in the protocol of the request."""
    vectors = [vector(text, embedding.dimensions) for text in embedding.texts]
    tokens = embedding.tokens
    if embedding.is_openai:
        return {
            "object": "list",
            "model": MODEL_VERSION,
            "data": [
                {"object": "embedding", "index": number, "embedding": values}
                for number, values in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    match embedding.kind:
        case "embed one":
            usage = {"promptTokenCount": tokens, "totalTokenCount": tokens}
            return {"embedding": {"values": vectors[0]}, "usageMetadata": usage, "truncated": False}
        case "predict":
            return {
                "predictions": [
                    {"embeddings": {"values": values, "statistics": _statistics(text)}}
                    for text, values in zip(embedding.texts, vectors, strict=True)
                ],
                "metadata": {"billableCharacterCount": sum(map(len, embedding.texts))},
            }
        case _:
            usage = {"promptTokenCount": tokens}
            return {"embeddings": [{"values": v} for v in vectors], "usageMetadata": usage}


def _statistics(text: str) -> Body:
    return {"token_count": count_tokens(text), "truncated": False}


def vector(text: str, dimensions: int) -> list[float]:
    """How often the trigrams of each hash appear in a text, scaled to length 1."""
    padded = f"  {' '.join(text.casefold().split())}  "
    counts: Counter[int] = Counter()
    for start in range(len(padded) - _GRAM_CHARS + 1):
        gram = padded[start : start + _GRAM_CHARS].encode("utf-8", "replace")
        counts[int.from_bytes(hashlib.blake2b(gram, digest_size=8).digest()) % dimensions] += 1
    norm = math.sqrt(sum(count * count for count in counts.values()))
    return [counts[place] / norm for place in range(dimensions)]
