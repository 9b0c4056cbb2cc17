"""From a record's fields to a coverage row; rules that span rows are left to `reader`."""

from collections.abc import Collection
from typing import Any, NamedTuple

from components.coverage_example_gen.problems import BadRowError, shown
from components.coverage_example_gen.splits import split_of, stable_id
from components.records import COVERAGE_SPLITS, CoverageRow

_COMMON_FIELDS = {"id", "split", "tags"}
_PAIR_FIELDS = _COMMON_FIELDS | {"prompt", "output"}
_CHAT_FIELDS = _COMMON_FIELDS | {"messages"}
_MESSAGE_FIELDS = {"role", "content"}


class CheckedRow(NamedTuple):
    """A row that is valid by itself.

    Attributes:
        row: The coverage row.
        system: The system message of a chat row, or None.
    """

    row: CoverageRow
    system: str | None


def check_row(fields: dict[str, Any], holdout_percent: int) -> CheckedRow:
    """The coverage row that a record describes.

    Args:
        fields: `prompt` and `output`, or `messages` in chat format; optional `id`, `split`, `tags`.
        holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.

    Raises:
        BadRowError: A field is missing, unknown or of the wrong kind.
    """
    # Exports write an absent optional value as null.
    fields = {k: v for k, v in fields.items() if v is not None or k not in _COMMON_FIELDS}
    system = None
    if "messages" in fields:
        _only(fields, _CHAT_FIELDS, "a chat row")
        system, prompt, output = _exchange(fields["messages"])
    else:
        _only(fields, _PAIR_FIELDS, "a row")
        prompt, output = _text(fields, "prompt"), _text(fields, "output")
    row_id = _id(fields, prompt)
    split = fields["split"] if "split" in fields else split_of(row_id, holdout_percent)
    if split not in COVERAGE_SPLITS:
        raise BadRowError(f"split is {shown(split)}; expected seed or holdout, or no split")
    return CheckedRow(CoverageRow(row_id, prompt, output, split, _tags(fields)), system)


def _only(fields: dict[str, Any], known: Collection[str], what: str) -> None:
    unknown = sorted(set(fields) - set(known))
    if unknown:
        names = ", ".join(sorted(known))
        raise BadRowError(f"unknown field {shown(unknown[0])}; {what} may have: {names}")


def _text(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        raise BadRowError(f"{name} is missing")
    value = fields[name]
    if not isinstance(value, str):
        raise BadRowError(f"{name} must be a string, found {shown(value)}")
    if not value.strip():
        raise BadRowError(f"{name} is empty")
    return _writable(value, name)


def _writable(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRowError(
            f"{name} holds half of a surrogate pair at character {error.start + 1}"
        ) from error
    return value


def _id(fields: dict[str, Any], prompt: str) -> str:
    if "id" not in fields:
        return stable_id(prompt)
    value = fields["id"]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(fields, "id").strip()


def _tags(fields: dict[str, Any]) -> tuple[str, ...]:
    tags = fields.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise BadRowError(f"tags must be a list of non-empty strings, found {shown(tags)}")
    return tuple(dict.fromkeys(_writable(tag.strip(), "a tag") for tag in tags))


def _exchange(messages: Any) -> tuple[str | None, str, str]:
    """System message, prompt and output of a chat; user messages in a row are one prompt."""
    if not isinstance(messages, list):
        raise BadRowError(f"messages must be a list, found {shown(messages)}")
    turns = [_turn(message, number) for number, message in enumerate(messages, start=1)]
    system = turns.pop(0)[1] if turns and turns[0][0] == "system" else None
    *questions, answer = turns or [("", "")]
    if not questions or answer[0] != "assistant" or any(role != "user" for role, _ in questions):
        roles = shown([role for role, _ in turns])
        raise BadRowError(
            "messages must be an optional system message, then one or more of user, then one of"
            f" assistant; found {roles}"
        )
    return system, "\n\n".join(content for _, content in questions), answer[1]


def _turn(message: Any, number: int) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise BadRowError(f"message {number} must be an object, found {shown(message)}")
    _only(message, _MESSAGE_FIELDS, "a message")
    try:
        return _text(message, "role"), _text(message, "content")
    except BadRowError as error:
        raise BadRowError(f"message {number}: {error}") from error
