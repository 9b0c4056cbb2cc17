"""The right answers of a coverage row, as its files hold them and as a run shows them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from core.errors import UserError
from task.coverage.redaction import row_texts
from task.privacy import PrivacySettings, placeholders_in, redact, restore_answer


class RowAnswers(NamedTuple):
    """All right answers of one prompt.

    Attributes:
        known: As the coverage files hold them.
        shown: As a run shows them, in the same order; without personal data where it redacts.
        originals: What each placeholder of the row stands for, as the row writes it first.
        spellings: Of each answer, what its placeholders stand for as it writes them.
        numbers: Of each answer, the placeholders that stand for a number of JSON.
        literal: Placeholders that the files themselves hold.
        redacts: Whether a run redacts.
    """

    known: tuple[str, ...]
    shown: tuple[str, ...]
    originals: Mapping[str, str]
    spellings: tuple[Mapping[str, str], ...]
    numbers: tuple[frozenset[str], ...]
    literal: frozenset[str]
    redacts: bool

    @classmethod
    def of(cls, prompt: str, answers: Sequence[str], privacy: PrivacySettings) -> Self:
        """Redact a row as CoverageExampleGen does, so that its placeholders are the run's.

        Args:
            prompt: The row's prompt, as its file holds it.
            answers: Its right answers in the order of the merged row, the output first.
            privacy: The settings of the run.
        """
        known = tuple(dict.fromkeys(answers))
        if not privacy.redact:
            return cls(known, known, {}, (), (), frozenset(), False)
        texts = row_texts(prompt, known)
        found = redact(texts, privacy)
        literal = frozenset(name for text in texts for name in placeholders_in(text))
        first = len(texts) - len(known)
        return cls(
            known,
            shown=found.texts[first:],
            originals=found.originals,
            spellings=found.spellings[first:],
            numbers=found.numbers[first:],
            literal=literal,
            redacts=True,
        )

    def shown_as(self, text: str) -> set[str]:
        """Return the answers of the files that a run shows as a text."""
        return {known for known, shown in zip(self.known, self.shown, strict=True) if shown == text}

    def restored(self, row_id: str, text: str, before: str) -> str:
        """Put back what the placeholders of a new reference stand for.

        Args:
            row_id: The row's id, for messages.
            text: The new reference, as a person sees it.
            before: The answer that it replaces, as a run shows it; its spellings stay.

        Raises:
            UserError: One of them stands for nothing in the row.
        """
        if not self.redacts:
            return text
        unknown = placeholders_in(text) - set(self.originals) - self.literal
        if unknown:
            raise UserError(
                f"The new reference of row {row_id!r} has {', '.join(sorted(unknown))}, which "
                "stands for nothing in the row. Write the text itself in its place, or keep the "
                "reference."
            )
        originals = dict(self.originals)
        if before in self.shown:
            place = self.shown.index(before)
            originals |= self.spellings[place]
            for name in self.numbers[place]:
                text = text.replace(f'"{name}"', originals[name])
        return restore_answer(text, originals)
