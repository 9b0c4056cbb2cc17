"""The filters that a prompt passes before anything is paid for its answer."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from components.synth_data_gen.filters.decontaminate import CoverageIndex
from components.synth_data_gen.filters.leak_judge import LeakJudge
from components.synth_data_gen.filters.message_rules import message_rules
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.settings import SynthSettings
from core.conversation import user_text, user_turns
from core.records import CoverageRow
from core.synthetic_records import Dropped
from task.duplicates import (
    Duplicate,
    find_duplicates,
    find_semantic_duplicates,
)
from task.nearest import Embed

_PROMPT_LENGTH_SLACK = 4  # times the longest coverage prompt; plans ask for long messages too


class PromptFilter:
    """Drops prompts that are malformed, leaked, repeated, or nobody's, against all it let pass.

    Args:
        coverage: Seeds and holdout rows. They are compared with and never leave this object,
            except for their ids.
        history: Prompts of the rounds before.
        settings: Thresholds.
        embed: Turns texts into vectors; None leaves the comparison by meaning out.
        leak_judge: Reads what the other filters let pass; None leaves it out.
    """

    def __init__(
        self,
        coverage: Sequence[CoverageRow],
        history: Sequence[str],
        settings: SynthSettings,
        embed: Embed | None = None,
        leak_judge: LeakJudge | None = None,
    ) -> None:
        self._settings = settings
        self._coverage = coverage
        self._index = CoverageIndex(coverage)
        self._accepted = list(history)
        self._embed = embed
        self._leak_judge = leak_judge
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}
        self._rules = message_rules(coverage)
        self._max_turns = max(user_turns(row.prompt) for row in coverage)
        self._max_chars = _PROMPT_LENGTH_SLACK * max(len(row.prompt) for row in coverage)

    @property
    def similarity(self) -> Callable[[str, str], float]:
        """The measure that leaks and duplicates are found by."""
        return self._index.between

    def apply(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass what is new; of repeated prompts the earlier one.

        Args:
            candidates: In the order in which they are judged.

        Returns:
            The candidates that passed, with their nearest coverage row, and the others.
        """
        passed = list(candidates)
        dropped: list[Dropped] = []
        for step in (
            self._without_bad_form,
            self._by_rules,
            self._without_leaks,
            self._without_duplicates,
            self._without_semantic_duplicates,
        ):
            passed, more = step(passed)
            dropped += more
        if self._leak_judge is not None:  # it costs a request, so it comes last
            passed, more = self._leak_judge.apply(passed)
            dropped += more
        self._accepted += [candidate.prompt for candidate in passed]
        return passed, dropped

    def _without_bad_form(
        self, candidates: Sequence[Candidate]
    ) -> tuple[list[Candidate], list[Dropped]]:
        passed, dropped = [], []
        for candidate in candidates:
            chars, turns = len(candidate.prompt), user_turns(candidate.prompt)
            if not chars and self._max_turns > 1:
                detail = "nothing, or turns that do not alternate and end with the user"
                dropped.append(Dropped("form", detail, candidate.prompt))
            elif not 0 < chars <= self._max_chars:
                detail = f"prompt of {chars} characters, not 1 to {self._max_chars}"
                dropped.append(Dropped("form", detail, candidate.prompt))
            elif turns > self._max_turns:
                detail = (
                    f"{turns} turns of the user; coverage prompts have at most {self._max_turns}"
                )
                dropped.append(Dropped("form", detail, candidate.prompt))
            else:
                passed.append(candidate)
        return passed, dropped

    def _by_rules(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        passed, dropped = [], []
        for candidate in candidates:
            text = user_text(candidate.prompt)
            found = ((reason, rule(text)) for reason, rule in self._rules.items())
            broken = next(((reason, detail) for reason, detail in found if detail), None)
            if broken:
                dropped.append(Dropped(*broken, candidate.prompt))
            else:
                passed.append(candidate)
        return passed, dropped

    def _without_leaks(
        self, candidates: Sequence[Candidate]
    ) -> tuple[list[Candidate], list[Dropped]]:
        passed, dropped = [], []
        for candidate in candidates:
            near = self._index.nearest(candidate.prompt)
            if near is None or near.similarity < self._settings.leak_similarity:
                passed.append(dataclasses.replace(candidate, nearest=near))
            else:
                detail = f"similarity {near.similarity:.2f} to a coverage prompt"
                dropped.append(Dropped("leak", detail, candidate.prompt, nearest_id=near.id))
        return passed, dropped

    def _without_duplicates(
        self, candidates: Sequence[Candidate]
    ) -> tuple[list[Candidate], list[Dropped]]:
        texts = self._known(candidates)
        known = len(texts) - len(candidates)
        found = find_duplicates(
            texts,
            self._settings.near_duplicate_similarity,
            fixed=known,
            similarity=self._index.between,
        )
        return self._separated(candidates, found[known:], texts, "leak")

    def _without_semantic_duplicates(
        self, candidates: Sequence[Candidate]
    ) -> tuple[list[Candidate], list[Dropped]]:
        if self._embed is None or not candidates:
            return list(candidates), []
        texts = self._known(candidates)
        known = len(texts) - len(candidates)
        unknown = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        vectors = np.asarray(self._embed(unknown), dtype=np.float32)
        self._vectors.update(zip(unknown, vectors, strict=True))
        found = find_semantic_duplicates(
            np.stack([self._vectors[text] for text in texts]),
            self._settings.semantic_similarity,
            fixed=known,
        )
        return self._separated(candidates, found[known:], texts, "semantic_leak")

    def _known(self, candidates: Sequence[Candidate]) -> list[str]:
        """Texts of the users in coverage prompts, accepted ones and the candidates'."""
        coverage = (row.prompt for row in self._coverage)
        prompts = [*coverage, *self._accepted, *(candidate.prompt for candidate in candidates)]
        return [user_text(prompt) for prompt in prompts]

    def _separated(
        self,
        candidates: Sequence[Candidate],
        found: Sequence[Duplicate | None],
        texts: Sequence[str],
        leak: str,
    ) -> tuple[list[Candidate], list[Dropped]]:
        passed, dropped = [], []
        for candidate, duplicate in zip(candidates, found, strict=True):
            if duplicate is None:
                passed.append(candidate)
                continue
            reason: str = duplicate.kind
            nearest_id, nearest_text = "", texts[duplicate.of]
            if duplicate.of < len(self._coverage):
                # The text of a holdout prompt must not get into the quarantine file, only its id.
                reason, nearest_id, nearest_text = leak, self._coverage[duplicate.of].id, ""
            dropped.append(
                Dropped(
                    reason,
                    f"similarity {duplicate.similarity:.2f}",
                    candidate.prompt,
                    nearest_id=nearest_id,
                    nearest_text=nearest_text,
                )
            )
        return passed, dropped
