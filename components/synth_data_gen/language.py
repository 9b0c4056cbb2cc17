"""Learns from the seeds' texts in which scripts and languages texts are written.

No list of languages: the words that many seeds share are the function words of their languages, and
a text in another language has next to none of them. How few a text of the right language may have
is measured on the seeds themselves, each against the others.
"""

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Sequence

from components.synth_data_gen.text import words

_LEAST_WORDS = 8  # shorter texts may hold no function word at all
_LEAST_TEXTS = 8  # fewer seeds do not show which words are common
_COMMON_TEXTS = 3  # a word of at least so many seeds is common
_SLACK = 0.5  # of the lowest share among the seeds


@dataclasses.dataclass(frozen=True)
class Languages:
    """The languages of the seeds' texts.

    Attributes:
        scripts: Unicode scripts of their letters, such as `LATIN`.
        common_words: The words that many of them share.
        least_share: Share of a text's words that are common at least, 0 to 1; 0 where the seeds
            are too few or too short to tell.
    """

    scripts: frozenset[str] = frozenset()
    common_words: frozenset[str] = frozenset()
    least_share: float = 0.0

    def problem(self, text: str) -> str | None:
        """Why a text is in another language than the seeds, or None when it seems to be in one."""
        foreign = scripts(text) - self.scripts
        if foreign:
            return f"letters of {', '.join(sorted(foreign))}, which no seed output has"
        own = words(text)
        if not self.least_share or len(own) < _LEAST_WORDS:
            return None
        share = sum(word in self.common_words for word in own) / len(own)
        if share >= self.least_share:
            return None
        return (
            f"another language: {share:.0%} of the words are common in the seeds' outputs, not at"
            f" least {self.least_share:.0%}"
        )


def infer_languages(texts: Sequence[str]) -> Languages:
    """The languages of texts; all of them are taken to be right."""
    tokens = [words(text) for text in texts]
    counts = Counter(word for row in tokens for word in set(row))
    long = [row for row in tokens if len(row) >= _LEAST_WORDS]
    shares = [_share_without_itself(row, counts) for row in long]
    return Languages(
        scripts=frozenset().union(*(scripts(text) for text in texts)),
        common_words=frozenset(w for w, count in counts.items() if count >= _COMMON_TEXTS),
        least_share=_SLACK * min(shares) if len(shares) >= _LEAST_TEXTS else 0.0,
    )


def scripts(text: str) -> set[str]:
    """The scripts of a text's letters, by their Unicode names."""
    return {unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha()}


def _share_without_itself(row: Sequence[str], counts: Counter[str]) -> float:
    return sum(counts[word] - 1 >= _COMMON_TEXTS for word in row) / len(row)
