"""From a record's fields to a coverage row; rules that span rows are left to `reader`."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from core.conversation import JOINED, Conversation, Message, Role, joined_parts
from core.records import COVERAGE_SPLITS, CoverageRow
from task.coverage.problems import BadRowError, shown
from task.splits import split_of, stable_id

_COMMON_FIELDS = {"id", "split", "tags", "references"}
_PAIR_FIELDS = _COMMON_FIELDS | {"prompt", "output"}
_CHAT_FIELDS = _COMMON_FIELDS | {"messages", "output"}
_MESSAGE_FIELDS = {"role", "content"}
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TOOL_ROLES = ("tool", "function")
_TOOL_FIELDS = ("tool_calls", "function_call", "tool_call_id")


class CheckedRow(NamedTuple):
    """A row that is valid by itself.

    Attributes:
        row: The coverage row.
        system: The system message of a chat row, or None.
        has_split: Whether the record says which split it is in.
    """

    row: CoverageRow
    system: str | None
    has_split: bool


def check_row(fields: dict[str, object], holdout_percent: int) -> CheckedRow:
    """Return the coverage row that a record describes.

    Args:
        fields: `prompt` and `output`, or `messages` in chat format, which end with the output or
            leave it to `output`; optional `id`, `split`, `tags`.
        holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.

    Raises:
        BadRowError: A field is missing, unknown or of the wrong kind.
    """
    # Exports write an absent optional value as null.
    fields = {k: v for k, v in fields.items() if v is not None or k not in _COMMON_FIELDS}
    system = None
    _check_answer(fields)
    if "messages" in fields:
        _only(fields, _CHAT_FIELDS, "a chat row")
        system, prompt, output = _exchange(fields)
    else:
        _only(fields, _PAIR_FIELDS, "a row")
        prompt, output = _text(fields, "prompt"), _text(fields, "output")
    row_id = _id(fields, prompt)
    split = fields["split"] if "split" in fields else split_of(row_id, holdout_percent)
    if split not in COVERAGE_SPLITS:
        raise BadRowError(f"split is {shown(split)}; expected seed, holdout or test, or no split")
    row = CoverageRow(row_id, prompt, output, split, _tags(fields), _references(fields, output))
    return CheckedRow(row, system, "split" in fields)


def _check_answer(fields: dict[str, object]) -> None:
    """Refuse right answers without the one that is the output."""
    listed = fields.get("messages")
    last = listed[-1] if isinstance(listed, list) and listed else None
    is_answered = isinstance(last, dict) and last.get("role") in ("assistant", "model")
    if fields.get("references") and "output" not in fields and not is_answered:
        raise BadRowError(
            "output is missing; references are further right answers: give one of them as output"
        )


def _references(fields: dict[str, object], output: str) -> tuple[str, ...]:
    """Return the right answers besides the output."""
    given = fields.get("references", [])
    if not isinstance(given, list) or not all(isinstance(r, str) and r.strip() for r in given):
        raise BadRowError(
            f"references must be a list of right answers, as strings, found {shown(given)}"
        )
    others = dict.fromkeys(_writable(reference, "a reference") for reference in given)
    return tuple(reference for reference in others if reference != output)


def _only(fields: dict[str, object], known: Collection[str], what: str) -> None:
    unknown = sorted(set(fields) - set(known))
    if unknown:
        names = ", ".join(sorted(known))
        raise BadRowError(f"unknown field {shown(unknown[0])}; {what} may have: {names}")


def _text(fields: dict[str, object], name: str) -> str:
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
            f"{name} contains half of a surrogate pair at character {error.start + 1}"
        ) from error
    return value


def _id(fields: dict[str, object], prompt: str) -> str:
    if "id" not in fields:
        return stable_id(prompt)
    value = fields["id"]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(fields, "id").strip()


def _tags(fields: dict[str, object]) -> tuple[str, ...]:
    tags = fields.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise BadRowError(f"tags must be a list of non-empty strings, found {shown(tags)}")
    return tuple(dict.fromkeys(_writable(tag.strip(), "a tag") for tag in tags))


def _exchange(fields: dict[str, object]) -> tuple[str | None, str, str]:
    """System message, prompt and output of a chat; messages of one role in a row are joined."""
    listed = fields["messages"]
    if not isinstance(listed, list):
        raise BadRowError(f"messages must be a list, found {shown(listed)}")
    messages: list[Message] = []
    for number, value in enumerate(listed, start=1):
        message = _message(value, number)
        if messages and messages[-1].role == message.role != "system":
            text = f"{messages[-1].text}{JOINED}{message.text}"
            messages[-1] = Message(role=message.role, text=text)
        else:
            messages.append(message)
    roles = [message.role for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    output = _text(fields, "output") if "output" in fields else None
    asked = messages if output is not None else messages[:-1]
    try:
        conversation = Conversation(messages=tuple(asked))
    except ValueError:
        conversation = None
    if conversation is None or (output is None and turns[-1] != "assistant"):
        answer = "the last one of user" if output is not None else "the last one of assistant"
        raise BadRowError(
            "messages must be an optional system message, then turns of user and assistant, the "
            f"first one of user and {answer}; found {shown(turns)}"
        )
    return conversation.system, conversation.prompt, output or messages[-1].text


def _message(value: object, number: int) -> Message:
    if not isinstance(value, dict):
        raise BadRowError(f"message {number} must be an object, found {shown(value)}")
    # Clients write what a message does not have as null, or as an empty list.
    value = {key: field for key, field in value.items() if field or key in _MESSAGE_FIELDS}
    if value.get("role") in _TOOL_ROLES or any(field in value for field in _TOOL_FIELDS):
        raise BadRowError(
            f"message {number} contains a tool call, which the tuned model cannot make"
        )
    _only(value, _MESSAGE_FIELDS, "a message")
    try:
        role = _text(value, "role")
        if isinstance(value.get("content"), list):
            value["content"] = joined_parts(_text_parts(value["content"]), role)
        text = _text(value, "content")
    except BadRowError as error:
        raise BadRowError(f"message {number}: {error}") from error
    if role not in _ROLES:
        raise BadRowError(
            f"message {number}: role is {shown(role)}; expected system, user or assistant"
        )
    return Message(role=_ROLES[role], text=text)


def _text_parts(parts: list[object]) -> list[str]:
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    for part, text in zip(parts, texts, strict=True):
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else part
            raise BadRowError(f"a part of the content is {shown(kind)}; only text is supported")
    return [str(text) for text in texts]
