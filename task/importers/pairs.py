"""Shapes with a field for the prompt and one for the answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.conversation import Message
from task.importers.content import exchange_of, messages, refuse_unfinished, request, response
from task.importers.shape import Fields, Pair, Shape, has, optional_text, tags_of
from task.importers.values import parsed, parsed_list
from task.messages import Exchange

_COMMON = ("id", "split", "tags", "session", "references")
_SYSTEM_NAMES = ("system", "system_prompt", "instructions")
# Names that data sets of question and answer use, after those that have a shape of their own.
_SYNONYMS = (
    ("input", "output"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("inputs", "targets"),
    ("text", "label"),
    ("text_input", "output"),
    ("input_text", "output_text"),
)
# What people call the two columns of a table of their own, in any case.
_PROMPT_NAMES = frozenset(
    {"prompt", "input", "inputs", "question", "query", "request", "message", "text"}
)
_OUTPUT_NAMES = frozenset(
    {"output", "outputs", "answer", "response", "completion", "label", "target", "targets"}
)


def prompt_messages(value: object) -> list[Message]:
    """Read a prompt: a text, messages, a request body, or a JSON object that is the text."""
    value = parsed(value)
    if isinstance(value, list) or _is_body(value):
        return request(value)
    if isinstance(value, Mapping):
        inner = next((name for name, field in value.items() if _is_body(field)), None)
        if inner is not None:
            raise ValueError(f"the prompt holds a request body inside its field {inner!r}")
    return [Message(role="user", text=_text(value))]


def _is_body(value: object) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(value.get(key), list) for key in ("messages", "contents")
    )


def answer_text(value: object) -> str:
    """Read an answer: a text, a message, a response body, or a JSON object that is the text."""
    value = parsed(value)
    if isinstance(value, Mapping) and any(key in value for key in ("choices", "candidates")):
        return response(value)
    if isinstance(value, Mapping) and "role" in value:
        return response(value)
    is_messages = isinstance(value, list) and value and isinstance(value[-1], Mapping)
    return response(value) if is_messages else _text(value)


def _text(value: object) -> str:
    if value is None:
        raise ValueError("the prompt or the answer is null")
    if isinstance(value, bytes):
        raise ValueError("it holds bytes (an image or a file), which the tuned model cannot take")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def pair(fields: Fields, found: Exchange, **changes: Any) -> Pair:
    """Make a pair of an exchange, with the common optional fields of its row.

    Raises:
        ValueError: The row says that its answer is cut off or refused.
    """
    refuse_unfinished(fields)
    values: dict[str, Any] = {
        "id": optional_text(fields, "id"),
        "split": optional_text(fields, "split"),
        "session": optional_text(fields, "session", "session_id"),
        "tags": tags_of(fields.get("tags")),
        "references": tuple(map(answer_text, parsed_list(fields.get("references") or []))),
    }
    return Pair(conversation=found.conversation, output=found.answer, **(values | changes))


def field_pair(prompt: str, output: str) -> Shape:
    """Make the shape of rows with these two fields.

    Args:
        prompt: Name of the field with the prompt.
        output: Name of the field with the answer.
    """

    def read(fields: Fields) -> Pair:
        for name in (prompt, output):
            if name not in fields:
                raise ValueError(f"the field {name!r} is missing or empty")
        asked = prompt_messages(fields[prompt])
        system = optional_text(fields, *_SYSTEM_NAMES)
        if system and asked[0].role != "system":
            asked = [Message(role="system", text=system), *asked]
        return pair(fields, exchange_of(asked, answer_text(fields[output])))

    return Shape(
        name=f"{prompt}/{output}",
        title=f"{prompt} and {output}",
        source="https://huggingface.co/docs/trl/dataset_formats",
        matches=has(prompt, output),
        read=read,
        columns=frozenset({prompt, output, *_SYSTEM_NAMES, "session_id", *_COMMON}),
    )


def named_pair(columns: Sequence[str]) -> Shape | None:
    """Make the shape of a table with one column named like a prompt and one like an answer.

    Args:
        columns: All columns of the table.

    Returns:
        The shape, or None where no column has such a name or several have.

    Example:
        >>> named_pair(["Question", "Label", "Team"]).title
        'Question and Label'
    """
    prompts = [column for column in columns if column.strip().lower() in _PROMPT_NAMES]
    outputs = [column for column in columns if column.strip().lower() in _OUTPUT_NAMES]
    if len(prompts) == len(outputs) == 1:
        return field_pair(prompts[0], outputs[0])
    return None


def _read_completion(fields: Fields) -> Pair:
    """Strip the white space that OpenAI's old format puts around completions."""
    prompt, completion = parsed(fields["prompt"]), parsed(fields["completion"])
    asked = prompt_messages(prompt)
    answer = completion.strip() if isinstance(completion, str) else answer_text(completion)
    return pair(fields, exchange_of(asked, answer))


def _read_alpaca(fields: Fields) -> Pair:
    """Put the input after the instruction, as LLaMA-Factory does."""
    system = optional_text(fields, "system")
    asked = [Message(role="system", text=system)] if system else []
    for question, answer in parsed_list(fields.get("history") or []):
        asked += [Message(role="user", text=question), Message(role="assistant", text=answer)]
    parts = [_text(fields[name]) for name in ("instruction", "input") if fields.get(name)]
    asked.append(Message(role="user", text="\n".join(parts)))
    return pair(fields, exchange_of(asked, answer_text(fields["output"])))


def _read_preference(fields: Fields) -> Pair:
    preferred = messages(fields["preferred_output"])
    return pair(fields, exchange_of(request(fields["input"]), preferred[-1].text))


OWN = Shape(
    name="understudy",
    title="prompt and output",
    source="README.md",
    matches=has("prompt", "output"),
    read=field_pair("prompt", "output").read,
    columns=frozenset({"prompt", "output", *_SYSTEM_NAMES, "session_id", *_COMMON}),
)
ALPACA = Shape(
    name="alpaca",
    title="Alpaca",
    source="https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md",
    matches=has("instruction", "output"),
    read=_read_alpaca,
    columns=frozenset({"instruction", "input", "output", "system", "history", *_COMMON}),
)
PROMPT_COMPLETION = Shape(
    name="prompt-completion",
    title="prompt and completion",
    source="https://huggingface.co/docs/trl/dataset_formats",
    matches=has("prompt", "completion"),
    read=_read_completion,
    columns=frozenset({"prompt", "completion", *_COMMON}),
)
OPENAI_PREFERENCE = Shape(
    name="openai-preference",
    title="OpenAI preference fine-tuning (the preferred output is used)",
    source="https://platform.openai.com/docs/guides/direct-preference-optimization",
    matches=has("input", "preferred_output"),
    read=_read_preference,
    columns=frozenset({"input", "preferred_output", "non_preferred_output", *_COMMON}),
)
SYNONYMS = tuple(field_pair(*names) for names in _SYNONYMS)
