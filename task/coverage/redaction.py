"""Coverage rows without personal data."""

import dataclasses
from collections.abc import Sequence

from core.conversation import Conversation, Message, chat_messages
from core.errors import UserError
from core.records import CoverageRow
from task.privacy import PrivacySettings, redact
from task.splits import normalized


def redacted_rows(rows: Sequence[CoverageRow], settings: PrivacySettings) -> list[CoverageRow]:
    """Replace personal data in prompts, outputs and tags, where the settings ask for it.

    Args:
        rows: The rows; ids and splits stay.
        settings: Whether to redact, and what is found.

    Raises:
        UserError: Prompts that differed in personal data alone are now the same; a prompt of the
            holdout could be shown as a seed.
    """
    if not settings.redact:
        return list(rows)
    tags = list(dict.fromkeys(tag for row in rows for tag in row.tags))
    # A tag is a kind of row: equal kinds stay equal, and others apart.
    of_tag = dict(zip(tags, redact(tags, settings).texts, strict=True))
    redacted = [
        dataclasses.replace(
            redacted_row(row, settings),
            tags=tuple(dict.fromkeys(of_tag[tag] for tag in row.tags)),
        )
        for row in rows
    ]
    first: dict[str, CoverageRow] = {}
    for row in redacted:
        other = first.setdefault(normalized(row.prompt), row)
        if other is not row:
            raise UserError(
                f"Without personal data the prompts of the rows {other.id!r} and {row.id!r} are "
                f"the same: {row.prompt[:60]!r}. Delete one of them."
            )
    return redacted


def row_texts(prompt: str, answers: Sequence[str]) -> list[str]:
    """Return the texts of a row in the order in which their placeholders are numbered."""
    return [*(message["content"] for message in chat_messages(prompt)), *answers]


def redacted_row(row: CoverageRow, settings: PrivacySettings) -> CoverageRow:
    """Return a row without personal data; as it is where the settings do not redact."""
    if not settings.redact:
        return row
    messages = chat_messages(row.prompt)
    found = redact(row_texts(row.prompt, (row.output, *row.references)), settings).texts
    turns, (output, *others) = found[: len(messages)], found[len(messages) :]
    redacted = Conversation(
        messages=tuple(
            Message.model_validate({"role": message["role"], "text": text})
            for message, text in zip(messages, turns, strict=True)
        )
    )
    tags = dict.fromkeys(redact(row.tags, settings).texts)
    return dataclasses.replace(
        row,
        prompt=redacted.prompt,
        output=output,
        tags=tuple(tags),
        references=tuple(others),
    )
