"""Tells by scripts and function words whether a text is in the languages of the seeds.

It says so only where it is clear: short texts, mixed ones, and languages that the list does not
know pass.
"""

import dataclasses
import functools
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from task.normalization import words

_MIN_WORDS = 6
_MIN_SHARE = 0.2  # of a text's words are function words of its language; about 0.45 are usual
_MAX_FOREIGN = 0.5  # of a text's letters: names and quotations may be in another script
_MIN_LEAD = 2.0  # times the share of any other language


@dataclasses.dataclass(frozen=True)
class Languages:
    """The languages of the seeds' texts.

    Attributes:
        scripts: Unicode scripts of their letters, such as `LATIN`.
        names: Names of the languages; empty where the texts are too short to tell, or where they
            let further languages be expected.
        of: What the texts are, for messages.
    """

    scripts: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    of: str = "output"

    def problem(self, text: str) -> str | None:
        """Say why a text is in a language that no seed has; None when it seems to be in one."""
        found_scripts = _script_counts(text)
        foreign = {name: n for name, n in found_scripts.items() if name not in self.scripts}
        if self.scripts and sum(foreign.values()) > _MAX_FOREIGN * found_scripts.total():
            return f"letters of {', '.join(sorted(foreign))}, which no seed {self.of} has"
        if not self.names:
            return None
        shares = _shares(text)
        found = max(shares, key=lambda name: shares[name], default="")
        if not found or found in self.names or shares[found] < _MIN_SHARE:
            return None
        if any(shares[found] < _MIN_LEAD * shares[name] for name in self.names):
            return None
        own = ", ".join(sorted(self.names))
        return f"written in {found}, and the seeds' {self.of}s in {own}"


def infer_languages(texts: Sequence[str], *, of: str = "output") -> Languages:
    """Return the languages of texts; all of them are taken to be right.

    Where they are in several languages, and one of these was seen a single time, others are to be
    expected (Good's estimate of what was not seen yet): then no language is named.

    Args:
        texts: The texts.
        of: What they are, for messages.
    """
    possible = [_possible(text) for text in texts]
    seen = Counter(name for names in possible if len(names) == 1 for name in names)
    is_open = len(seen) > 1 and 1 in seen.values()
    return Languages(
        scripts=frozenset().union(*(scripts(text) for text in texts)),
        names=frozenset() if is_open else frozenset().union(*possible),
        of=of,
    )


def is_sentence(text: str) -> bool:
    """Whether a text has words enough to tell a language; names and labels do not."""
    return len(words(text)) >= _MIN_WORDS


def scripts(text: str) -> set[str]:
    """Return the scripts of a text's letters, by their Unicode names."""
    return set(_script_counts(text))


def _script_counts(text: str) -> Counter[str]:
    return Counter(unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha())


def _possible(text: str) -> set[str]:
    """Return the languages that a text may be in: the likeliest, and those that come near to it."""
    shares = _shares(text)
    highest = max(shares.values(), default=0.0)
    if highest < _MIN_SHARE:
        return set()
    return {name for name, share in shares.items() if share * _MIN_LEAD > highest}


def _shares(text: str) -> dict[str, float]:
    """Return the share of function words by language; empty for a short text."""
    own = words(text)
    if len(own) < _MIN_WORDS:
        return {}
    return {
        name: sum(word in known for word in own) / len(own)
        for name, known in _function_words().items()
    }


@functools.cache
def common_words() -> frozenset[str]:
    """Return the function words of all languages in the list."""
    return frozenset().union(*_function_words().values())


@functools.cache
def _function_words() -> Mapping[str, frozenset[str]]:
    path = Path(__file__).with_name("languages.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: frozenset(listed.split()) for name, listed in table.items()}
