"""Shapes with a field for the prompt and one for the answer."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.conversation import Message
from task.importers.content import exchange_of, messages, request, response
from task.importers.finishes import refuse_unfinished
from task.importers.labels import bad_labels, label_of
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import parsed, parsed_list
from task.messages import Exchange, exchange

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
    ("full_request", "full_response"),  # Vertex AI's log of requests and responses
)
_BODY_KEYS = ("choices", "candidates", "promptFeedback", "role")  # of a response or a message
_SEVERAL = "ideal"  # holds all right answers, in OpenAI's evals


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
    if isinstance(value, Mapping) and any(key in value for key in _BODY_KEYS):
        return response(value)
    is_messages = isinstance(value, list) and value and isinstance(value[-1], Mapping)
    return response(value) if is_messages else _text(value)


def right_answers(value: object) -> list[str]:
    """Read the right answers of a prompt: a list of texts has several, all else is one.

    Raises:
        ValueError: There is none.
    """
    listed = parsed_list(value)
    if listed is None or listed == [] or (isinstance(listed, list) and None in listed):
        raise ValueError(f"the row has no right answer, only {repr(value)[:60]}")
    if isinstance(listed, list) and listed and all(isinstance(each, str) for each in listed):
        return listed
    return [answer_text(value)]


def _text(value: object) -> str:
    # NaN is what pandas has for nothing.
    if value is None or (isinstance(value, float) and math.isnan(value)):
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
    if found.answer.lstrip().startswith("data: {"):
        raise ValueError("the answer is a stream of events; export the whole text that they give")
    values: dict[str, object] = {
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
        if _is_body(parsed(fields[prompt])) and fields[output] == {}:
            raise ValueError("the response is empty")
        system = optional_text(fields, *_SYSTEM_NAMES)
        if system and asked[0].role != "system":
            asked = [Message(role="system", text=system), *asked]
        if output.strip().lower() != _SEVERAL:
            return pair(fields, exchange_of(asked, answer_text(fields[output])))
        answer, *others = right_answers(fields[output])
        return pair(fields, exchange_of(asked, answer), references=tuple(others))

    return Shape(
        name=f"{prompt}/{output}",
        title=f"{prompt} and {output}",
        source="https://huggingface.co/docs/trl/dataset_formats",
        matches=has(prompt, output),
        read=read,
        columns=frozenset({prompt, output, *_SYSTEM_NAMES, "session_id", *_COMMON}),
    )


def _read_completion(fields: Fields) -> Pair:
    """Strip the white space that OpenAI's old format puts around completions."""
    prompt, completion = parsed(fields["prompt"]), parsed(fields["completion"])
    asked = prompt_messages(prompt)
    answer = completion.strip() if isinstance(completion, str) else answer_text(completion)
    return pair(fields, exchange_of(asked, answer))


def _completions(rows: Sequence[Fields]) -> Callable[[Fields], Pair]:
    """Make the reading of a file's rows: completions that a label calls bad are skipped."""
    bad = bad_labels(rows)

    def read(fields: Fields) -> Pair:
        if label_of(fields) in bad:
            raise SkippedError("its label says that the completion is a bad one")
        return _read_completion(fields)

    return read


def _read_alpaca(fields: Fields) -> Pair:
    """Put the input after the instruction, as LLaMA-Factory does."""
    system = optional_text(fields, "system")
    asked = [Message(role="system", text=system)] if system else []
    for question, answer in parsed_list(fields.get("history") or []):
        asked += [Message(role="user", text=question), Message(role="assistant", text=answer)]
    asked.append(_joined(fields, "instruction", "input"))
    return pair(fields, exchange_of(asked, answer_text(fields["output"])))


def _read_dolly(fields: Fields) -> Pair:
    asked = _joined(fields, "instruction", "context")
    return pair(fields, exchange_of([asked], answer_text(fields["response"])))


def _joined(fields: Fields, *names: str) -> Message:
    parts = [_text(fields[name]) for name in names if fields.get(name)]
    return Message(role="user", text="\n".join(parts))


def _read_preference(fields: Fields) -> Pair:
    preferred = messages(fields["preferred_output"])
    return pair(fields, exchange_of(request(fields["input"]), preferred[-1].text))


def _read_chosen(fields: Fields) -> Pair:
    """Read the chosen answer: a text, or messages, which may begin with the prompt's."""
    chosen = parsed(fields["chosen"])
    turns = messages(chosen) if isinstance(chosen, list) else []
    if not turns or turns[0].role == "assistant":
        if "prompt" not in fields:
            raise ValueError("the field 'prompt' is missing")
        asked = prompt_messages(fields["prompt"])
        turns = [*asked, *(turns or [Message(role="assistant", text=_text(chosen))])]
    return pair(fields, exchange(turns))


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
DOLLY = Shape(
    name="dolly",
    title="Dolly (instruction, context and response)",
    source="https://huggingface.co/datasets/databricks/databricks-dolly-15k",
    matches=has("instruction", "response"),
    read=_read_dolly,
    columns=frozenset({"instruction", "context", "response", *_COMMON}),
)
PROMPT_COMPLETION = Shape(
    name="prompt-completion",
    title="prompt and completion",
    source="https://huggingface.co/docs/trl/dataset_formats",
    matches=has("prompt", "completion"),
    read=_read_completion,
    read_of_file=_completions,
    columns=frozenset({"prompt", "completion", *_COMMON}),
)
PREFERENCE = Shape(
    name="preference",
    title="preferences (the chosen answer is used)",
    source="https://huggingface.co/docs/trl/dataset_formats",
    matches=has("chosen", "rejected"),
    read=_read_chosen,
    columns=frozenset({"prompt", "chosen", "rejected", *_COMMON}),
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
