"""Vectors of texts, by their letters: it is no language model, and knows nothing of meaning.

References:
    https://ai.google.dev/api/embeddings, https://platform.openai.com/docs/api-reference/embeddings
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from standin.protocol import MODEL_VERSION, Body, bad_request, count_tokens

_DIMENSIONS = 256
_GRAM_CHARS = 3
_GEMINI = re.compile(r"/models/([^/:]+):batchEmbedContents$")
_OPENAI = re.compile(r"/v1/embeddings$")


class Embedding(NamedTuple):
    """What is to be embedded.

    Attributes:
        model: The model's name.
        texts: The texts.
        dimensions: Numbers of each vector.
        is_openai: Which protocol the request came in.
    """

    model: str
    texts: tuple[str, ...]
    dimensions: int
    is_openai: bool

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(map(count_tokens, self.texts))


def read(path: str, body: Mapping[str, Any]) -> Embedding | None:
    """The request, or None where the path is not one of embeddings.

    Raises:
        HttpError: The body is not such a request.
    """
    try:
        if found := _GEMINI.search(path):
            requests = body["requests"]
            texts = tuple(r["content"]["parts"][0]["text"] for r in requests)
            dimensions = requests[0].get("outputDimensionality") or _DIMENSIONS
            return Embedding(found.group(1), texts, int(dimensions), is_openai=False)
        if _OPENAI.search(path):
            given = body["input"]
            texts = (given,) if isinstance(given, str) else tuple(map(str, given))
            dimensions = body.get("dimensions") or _DIMENSIONS
            return Embedding(str(body["model"]), texts, int(dimensions), is_openai=True)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise bad_request(f"The body is not a request for embeddings: {error!r}.") from error
    return None


def reply(embedding: Embedding) -> Body:
    """The vectors, in the protocol of the request."""
    vectors = [vector(text, embedding.dimensions) for text in embedding.texts]
    if not embedding.is_openai:
        return {"embeddings": [{"values": values} for values in vectors]}
    return {
        "object": "list",
        "model": MODEL_VERSION,
        "data": [
            {"object": "embedding", "index": number, "embedding": values}
            for number, values in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": embedding.tokens, "total_tokens": embedding.tokens},
    }


def vector(text: str, dimensions: int) -> list[float]:
    """How often the trigrams of each hash appear in a text, scaled to length 1."""
    padded = f"  {' '.join(text.casefold().split())}  "
    counts: Counter[int] = Counter()
    for start in range(len(padded) - _GRAM_CHARS + 1):
        gram = padded[start : start + _GRAM_CHARS].encode("utf-8", "replace")
        counts[int.from_bytes(hashlib.blake2b(gram, digest_size=8).digest()) % dimensions] += 1
    norm = math.sqrt(sum(count * count for count in counts.values()))
    return [counts[place] / norm for place in range(dimensions)]
