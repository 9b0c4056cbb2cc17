"""Shapes whose rows are whole conversations: the last assistant turn is the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.conversation import Message
from task.importers.content import exchange_of, message, request
from task.importers.pairs import pair, right_answers
from task.importers.shape import Fields, Pair, Shape, SkippedError, has
from task.importers.values import mapping, parsed_list
from task.messages import exchange

_GEMINI_SYSTEM = ("systemInstruction", "system_instruction")
# What the answer should be, of reinforcement fine-tuning and of evals; the prompt has none.
_EXPECTED = ("reference_answer", "ideal")
_COMMON = frozenset({"id", "split", "tags", "session", "session_id"})


def _refuse_tools(fields: Fields) -> None:
    for name in ("tools", "functions"):
        if fields.get(name) not in (None, "", "[]", []):
            raise ValueError(f"the row offers tools ({name}), which the tuned model cannot use")


def _read_openai(fields: Fields) -> Pair:
    _refuse_tools(fields)
    # Anthropic's messages have the system message in a field of its own.
    turns = parsed_list(fields["messages"])
    if not isinstance(turns, list) or not turns:
        raise ValueError(f"messages must be a list of messages, found {repr(turns)[:60]}")
    _skip_unweighted(turns)
    asked = request({"system": fields.get("system"), "messages": turns})
    is_answered = asked[-1].role == "assistant"
    given = [name for name in _EXPECTED if name in fields]
    if is_answered:
        given = [name for name in given if fields[name] not in (None, [], "[]", "")]
    if not given:
        return pair(fields, exchange(asked))
    if is_answered:
        # What a model said; what it should have said is the reference.
        asked = asked[:-1]
    answer, *others = right_answers(fields[given[0]])
    return pair(fields, exchange_of(asked, answer), references=tuple(others))


def _skip_unweighted(turns: Any) -> None:
    last = turns[-1] if isinstance(turns, Sequence) and turns else None
    if isinstance(last, Mapping) and last.get("weight") == 0:
        raise SkippedError("its last answer has the weight 0: no model should learn it")


def _is_sharegpt(fields: Fields) -> bool:
    """Whether the conversations are the turns of one, and not a list of rows."""
    turns = fields.get("conversations")
    first = turns[0] if isinstance(turns, list) and turns else None
    is_row = isinstance(first, Mapping) and ("messages" in first or "conversations" in first)
    return "conversations" in fields and not is_row


def _read_sharegpt(fields: Fields) -> Pair:
    _refuse_tools(fields)
    system = fields.get("system")
    start = [Message(role="system", text=system)] if system else []
    turns = parsed_list(fields["conversations"])
    if not isinstance(turns, list):
        raise ValueError(f"conversations must be a list, found {repr(turns)[:60]}")
    return pair(fields, exchange([*start, *(message(turn) for turn in turns)]))


def _read_gemini(fields: Fields) -> Pair:
    contents = parsed_list(fields["contents"])
    # In a cell of a table it is the text of an object.
    systems = {name: mapping(fields.get(name)) or fields.get(name) for name in _GEMINI_SYSTEM}
    return pair(fields, exchange(request({**fields, **systems, "contents": contents})))


OPENAI_MESSAGES = Shape(
    name="openai-messages",
    title="OpenAI messages and fine-tuning",
    source="https://platform.openai.com/docs/guides/supervised-fine-tuning",
    matches=has("messages"),
    read=_read_openai,
    columns=_COMMON
    | {"messages", "system", "tools", "functions", "parallel_tool_calls", *_EXPECTED},
)
SHAREGPT = Shape(
    name="sharegpt",
    title="ShareGPT",
    source="https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md",
    matches=_is_sharegpt,
    read=_read_sharegpt,
    columns=_COMMON | {"conversations", "system", "tools"},
)
GEMINI_TUNING = Shape(
    name="gemini-tuning",
    title="Gemini tuning",
    source="https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare",
    matches=has("contents"),
    read=_read_gemini,
    columns=_COMMON | {"contents", *_GEMINI_SYSTEM, "tools"},
)
