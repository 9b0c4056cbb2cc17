"""Texts that are no leaks: natural English of 5 to 3,000 words, and short prompts about a product.

The English is that of Python's own help pages, which come with every installation. Short prompts
share a product's name with coverage prompts and ask for something else.
"""

import re
from collections.abc import Sequence

_PROMPT_WORDS = 40
_PASSAGES = 60  # of each length, at most
_RUN = 6  # words
_MAX_REPEATED = 0.01  # of a page's runs are on pages that prompts come from
UNRELATED_WORDS = (5, 10, 20, 40, 100, 300, 1000, 3000)
_PRODUCTS = (
    "Echo Lamp", "Terra Kettle", "Quill Lock", "Nimbus Cam", "Vista Blind", "Sonar Speaker",
    "Atlas Router", "Forge Vacuum", "Orbit Doorbell", "Pulse Thermostat", "Lumen Bulb",
    "Aero Purifier",
)  # fmt: skip
_ASKED = (
    "Where's my {}?",
    "Is the {} waterproof?",
    "My {} arrived broken",
    "How much is the {}?",
    "Return my {} please",
    "The {} makes a noise",
)
_OTHER = (
    "Can I pair two {}s?",
    "The {} lost its wifi again",
    "Which colours does the {} come in?",
    "I want an invoice for the {}",
    "{} app crashes",
    "Does the {} need batteries?",
    "Cancel the {} from my order",
    "My {} blinks red",
)


def help_words() -> list[str]:
    """Read all words of Python's help pages, one page after the other."""
    return [word for page in _help_pages() for word in page]


def _help_pages() -> list[list[str]]:
    from pydoc_data.topics import topics

    return [re.findall(r"[A-Za-z][A-Za-z'-]*[.,;:?!]?", topics[name]) for name in sorted(topics)]


def natural_texts() -> tuple[list[str], dict[int, list[str]]]:
    """Make coverage prompts of 40 words, and texts of each length that quote none of them.

    Returns:
        The prompts, and by number of words the texts.
    """
    pages = _help_pages()
    half = sum(map(len, pages)) // 2
    first: list[list[str]] = []
    while sum(map(len, first)) < half:
        first.append(pages[len(first)])
    others = pages[len(first) :]
    known = set().union(*(_runs(" ".join(page)) for page in first))
    # Some pages are made of others, in part in other words: they are related.
    unrelated = [page for page in others if _repeated(page, known) <= _MAX_REPEATED]
    words = [word for page in unrelated for word in page]
    prompts = passages([word for page in first for word in page], _PROMPT_WORDS, _PASSAGES)
    quoted = set().union(*map(_runs, prompts))
    texts = {
        length: [text for text in passages(words, length, _PASSAGES) if not _runs(text) & quoted]
        for length in UNRELATED_WORDS
    }
    return prompts, texts


def _repeated(page: Sequence[str], known: set[tuple[str, ...]]) -> float:
    runs = _runs(" ".join(page))
    return len(runs & known) / max(1, len(runs))


def _runs(text: str) -> set[tuple[str, ...]]:
    """All runs of six words: the help pages repeat whole sentences."""
    words = text.lower().split()
    return {tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)}


def passages(words: Sequence[str], length: int, count: int) -> list[str]:
    """Cut passages of that many words, evenly over all words.

    Args:
        words: The words.
        length: Words of a passage.
        count: Passages at most.
    """
    step = max(length, (len(words) - length) // count)
    starts = range(0, len(words) - length + 1, step)
    return [" ".join(words[start : start + length]) for start in starts][:count]


def short_prompts() -> tuple[list[str], list[str]]:
    """Make short coverage prompts, and others that share no more than a product's name."""
    asked = [text.format(product) for product in _PRODUCTS for text in _ASKED]
    return asked, [text.format(product) for product in _PRODUCTS for text in _OTHER]
