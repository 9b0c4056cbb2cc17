"""The filters that need a row's output: messages that contain their answer, and repeated facts.

A paraphrase in wholly other words has little in common with its source by its letters; an innocent
long mail may have more. What gives it away are the facts: an output with a name, a time and a part
that no other row has is not met twice by chance.
"""

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from components.synth_data_gen.rows import Candidate
from core.conversation import user_text
from core.records import SEED_SPLIT, CoverageRow
from core.synthetic_records import Dropped
from judging.output_fields import read_fields, value_text
from task.form import OutputForm
from task.normalization import normalize, words

OWN_ANSWER = "own_answer"
SAME_FACTS, FACTS_LEAK = "same_facts", "facts_leak"
_MIN_SIMILARITY = 0.25  # of two messages, besides the facts
_MIN_TELLING = 2  # values that no other row has
_LONG_VALUE_WORDS = 3  # one value as long as this is enough
_MAX_OTHER = 1  # fields that may differ: a part in other words
_EMPTY = {"null", "true", "false", "{}", "[]", '""'}
_TEXT_WORDS = 5  # of a free text that is not repeated by chance
_ANSWER_WORDS = 8  # of a free text that a message does not hold by chance

_DECODER = json.JSONDecoder()

Similarity = Callable[[str, str], float]
Fact = tuple[str, str]


class _Known(NamedTuple):
    """A row to compare with: its prompt, its values by field, and a coverage row's id."""

    prompt: str
    fields: Mapping[str, str]
    coverage_id: str


class RowFilter:
    """Drops rows by their outputs, against all rows it let pass before.

    Args:
        coverage: Seeds and holdout rows; of dropped rows only the id of such a one is reported.
        history: Prompts and outputs of the rounds before.
        form: What outputs look like.
        similarity: Of two prompts, 0 to 1.
    """

    def __init__(
        self,
        coverage: Sequence[CoverageRow],
        history: Sequence[tuple[str, str]],
        form: OutputForm,
        similarity: Similarity,
    ) -> None:
        self._form = form
        self._similarity = similarity
        self._rows: list[_Known] = []
        self._with: defaultdict[Fact, list[int]] = defaultdict(list)
        seeds = [row for row in coverage if row.split == SEED_SPLIT] or list(coverage)
        self._answers_inside = any(self._holds_answer(row.prompt, row.output) for row in seeds)
        for row in coverage:
            self._add(row.prompt, row.output, row.id)
        for prompt, output in history:
            self._add(prompt, output)

    def refuse(self, candidate: Candidate) -> Dropped | None:
        """Drop a message that contains its answer, unless seeds do, or repeats a coverage row."""
        prompt, output = candidate.prompt, candidate.output
        if not self._answers_inside and self._holds_answer(prompt, output):
            return Dropped(OWN_ANSWER, "the message contains its own answer", prompt, output)
        return self._repeated(candidate, of_coverage=True)

    def apply(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Dropped]]:
        """Let pass what does not repeat the facts of an earlier row; of two rows the earlier one.

        Facts of coverage rows are handled by `refuse`.

        Returns:
            The candidates that passed, in the given order, and the others.
        """
        passed: list[Candidate] = []
        dropped: list[Dropped] = []
        for candidate in candidates:
            if found := self._repeated(candidate, of_coverage=False):
                dropped.append(found)
            else:
                passed.append(candidate)
                self._add(candidate.prompt, candidate.output)
        return passed, dropped

    def _repeated(self, candidate: Candidate, *, of_coverage: bool) -> Dropped | None:
        """Drop what repeats the facts of a row, of the coverage dataset or another one."""
        fields = self._fields(candidate.output)
        for row in sorted({self._with[fact][0] for fact in fields.items() if self._is_alone(fact)}):
            known = self._rows[row]
            if bool(known.coverage_id) != of_coverage:
                continue
            if not self._are_same_facts(fields, known.fields):
                continue
            similarity = self._similarity(candidate.prompt, known.prompt)
            if similarity >= _MIN_SIMILARITY:
                return Dropped(
                    FACTS_LEAK if of_coverage else SAME_FACTS,
                    f"similarity {similarity:.2f}, with the facts of another row",
                    candidate.prompt,
                    candidate.output,
                    nearest_id=known.coverage_id,
                    # The text of a holdout prompt must not get into the quarantine file.
                    nearest_text="" if of_coverage else known.prompt,
                )
        return None

    def _is_alone(self, fact: Fact) -> bool:
        """Whether one row has a fact, and no other; asking adds no entry."""
        return len(self._with.get(fact, ())) == 1

    def _are_same_facts(self, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
        equal = one.items() & other.items()
        if len(one.keys() | other.keys()) - len(equal) > _MAX_OTHER:
            return False
        telling = [f for f in equal if self._is_alone(f) and f[1] not in _EMPTY]
        return len(telling) >= _MIN_TELLING or any(
            len(words(value)) >= _LONG_VALUE_WORDS for _, value in telling
        )

    def _add(self, prompt: str, output: str, coverage_id: str = "") -> None:
        fields = self._fields(output)
        for fact in fields.items():
            self._with[fact].append(len(self._rows))
        self._rows.append(_Known(prompt, fields, coverage_id))

    def _fields(self, output: str) -> dict[str, str]:
        """Return an output's values by field; those of labels tell nothing."""
        if self._form.labels:
            return {}
        if self._form.schema is None:
            text = normalize(output)
            return {"": text} if len(text.split()) >= _TEXT_WORDS else {}
        return {path: value_text({path: value}, path) for path, value in _read(output).items()}

    def _holds_answer(self, prompt: str, output: str) -> bool:
        text = user_text(prompt)
        if self._form.labels:
            pattern = rf"\b(?:answer|output|label)\s*[:=]\s*\W?{re.escape(output)}\b"
            return bool(re.search(pattern, text, re.IGNORECASE))
        if self._form.schema is None:
            answer = normalize(output)
            return len(answer.split()) >= _ANSWER_WORDS and answer in normalize(text)
        keys = set(_read(output))
        return any(len(keys & set(found)) >= min(2, len(keys)) > 0 for found in _objects_in(text))


def _read(output: str) -> dict[str, Any]:
    return dict(read_fields(output) or {})


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the fields of the JSON objects that stand in a text."""
    for match in re.finditer(r"\{", text):
        with contextlib.suppress(ValueError, RecursionError):
            _, end = _DECODER.raw_decode(text, match.start())
            yield _read(text[match.start() : end])
