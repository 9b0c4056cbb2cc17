"""How long the tokens of a run's requests and replies are, measured on a sample of its own texts.

The service LLM's tokenizer is not on this machine; the base model's is, and vocabularies of this
size cut a text into about as many tokens.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

from components.executing import load_function
from core.errors import UserError
from core.example_budget import CHARACTERS_PER_TOKEN
from core.records import CoverageRow
from core.text import common_start
from pipeline.config import Config
from pipeline.lengths import TOKENIZER_FN, Tokenizer
from service_llm.estimate import CharactersPerToken, Expected

ItemT = TypeVar("ItemT")

_SAMPLE = 24  # texts of each kind; with more the mean changes by less than 2 %


def characters_per_token(
    config: Config, rows: Sequence[CoverageRow], prompts: Sequence[str]
) -> CharactersPerToken:
    """Measure how many characters a token has; what is usual where there is no tokenizer.

    Args:
        config: Names the base model.
        rows: The coverage dataset, whose outputs and prompts are like the replies.
        prompts: Prompts that will be sent.
    """
    tokenizer = _tokenizer(config.training.preset, config.training.cache_dir)
    if tokenizer is None:
        return CharactersPerToken()
    replies = [
        json.dumps({"prompt": row.prompt, "output": row.output}, ensure_ascii=False)
        for row in _some(rows)
    ]
    return CharactersPerToken(_mean(tokenizer, _some(prompts)), _mean(tokenizer, replies))


@functools.lru_cache(maxsize=1)  # it takes a second to load
def _tokenizer(preset: str, cache_dir: str) -> Tokenizer | None:
    load = load_function(TOKENIZER_FN, "TOKENIZER_FN")
    try:
        found: Tokenizer | None = load(preset, cache_dir, download=False)
    except UserError:  # the estimate is of the service; `check` says what the model lacks
        return None
    return found


def shared_share(requests: Sequence[Expected]) -> float:
    """Return the share of all prompts, 0 to 1, with which requests of their kind begin alike.

    Servers that cache prefixes compute them once; some providers bill less for them, from a length
    of their own on.
    """
    by_kind: defaultdict[str, list[Expected]] = defaultdict(list)
    for expected in requests:
        by_kind[expected.request.schema.__name__].append(expected)
    shared = total = 0
    for alike in by_kind.values():
        prompts = [expected.request.prompt for expected in alike]
        times = sum(expected.times for expected in alike)
        shared += len(common_start(prompts)) * times
        total += sum(len(expected.request.prompt) * expected.times for expected in alike)
    return shared / total if total else 0.0


def _some(items: Sequence[ItemT]) -> list[ItemT]:
    return list(items[:: max(1, len(items) // _SAMPLE)][:_SAMPLE])


def _mean(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    tokens = sum(tokenizer.count(texts))
    return sum(map(len, texts)) / tokens if tokens else CHARACTERS_PER_TOKEN
