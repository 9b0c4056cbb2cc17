"""Tells by scripts and function words whether a text is in the languages of the seeds.

It says so only where it is clear: short texts, mixed ones, and languages that the list does not
know pass.
"""

import dataclasses
import functools
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from components.synth_data_gen.text import words

_LEAST_WORDS = 6
_LEAST_SHARE = 0.2  # of a text's words are function words of its language; about 0.45 are usual
_LEAST_LEAD = 2.0  # times the share of any other language


@dataclasses.dataclass(frozen=True)
class Languages:
    """The languages of the seeds' texts.

    Attributes:
        scripts: Unicode scripts of their letters, such as `LATIN`.
        names: Names of the languages; empty where the texts are too short to tell.
    """

    scripts: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def problem(self, text: str) -> str | None:
        """Why a text is in another language than the seeds, or None when it seems to be in one."""
        foreign = scripts(text) - self.scripts
        if foreign:
            return f"letters of {', '.join(sorted(foreign))}, which no seed output has"
        if not self.names:
            return None
        shares = _shares(text)
        found = max(shares, key=lambda name: shares[name], default="")
        if not found or found in self.names or shares[found] < _LEAST_SHARE:
            return None
        if any(shares[found] < _LEAST_LEAD * shares[name] for name in self.names):
            return None
        return f"written in {found}, and the seeds' outputs in {', '.join(sorted(self.names))}"


def infer_languages(texts: Sequence[str]) -> Languages:
    """The languages of texts; all of them are taken to be right."""
    return Languages(
        scripts=frozenset().union(*(scripts(text) for text in texts)),
        names=frozenset(name for text in texts for name in _possible(text)),
    )


def scripts(text: str) -> set[str]:
    """The scripts of a text's letters, by their Unicode names."""
    return {unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha()}


def _possible(text: str) -> set[str]:
    """The languages that a text may be in: the likeliest, and those that come near to it."""
    shares = _shares(text)
    highest = max(shares.values(), default=0.0)
    if highest < _LEAST_SHARE:
        return set()
    return {name for name, share in shares.items() if share * _LEAST_LEAD > highest}


def _shares(text: str) -> dict[str, float]:
    """The share of a text's words that are function words, by language; empty for a short text."""
    own = words(text)
    if len(own) < _LEAST_WORDS:
        return {}
    return {
        name: sum(word in known for word in own) / len(own)
        for name, known in _function_words().items()
    }


@functools.cache
def _function_words() -> Mapping[str, frozenset[str]]:
    path = Path(__file__).with_name("languages.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: frozenset(listed.split()) for name, listed in table.items()}
