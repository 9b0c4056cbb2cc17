"""Shapes whose rows are whole conversations: the last assistant turn is the answer."""

from core.conversation import Message
from task.importers.content import message, request
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, has
from task.importers.values import parsed_list
from task.messages import exchange

_COMMON = frozenset({"id", "split", "tags", "session", "session_id"})


def _refuse_tools(fields: Fields) -> None:
    for name in ("tools", "functions"):
        if fields.get(name) not in (None, "", "[]", []):
            raise ValueError(f"the row offers tools ({name}), which the tuned model cannot use")


def _read_openai(fields: Fields) -> Pair:
    _refuse_tools(fields)
    # Anthropic's messages have the system message beside them.
    body = {"system": fields.get("system"), "messages": fields["messages"]}
    return pair(fields, exchange(request(body)))


def _read_sharegpt(fields: Fields) -> Pair:
    _refuse_tools(fields)
    system = fields.get("system")
    start = [Message(role="system", text=system)] if system else []
    turns = parsed_list(fields["conversations"])
    if not isinstance(turns, list):
        raise ValueError(f"conversations must be a list, found {repr(turns)[:60]}")
    return pair(fields, exchange([*start, *(message(turn) for turn in turns)]))


def _read_gemini(fields: Fields) -> Pair:
    return pair(fields, exchange(request(dict(fields))))


OPENAI_MESSAGES = Shape(
    name="openai-messages",
    title="OpenAI messages and fine-tuning",
    source="https://platform.openai.com/docs/guides/supervised-fine-tuning",
    matches=has("messages"),
    read=_read_openai,
    columns=_COMMON | {"messages", "system", "tools", "functions", "parallel_tool_calls"},
)
SHAREGPT = Shape(
    name="sharegpt",
    title="ShareGPT",
    source="https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md",
    matches=has("conversations"),
    read=_read_sharegpt,
    columns=_COMMON | {"conversations", "system", "tools"},
)
GEMINI_TUNING = Shape(
    name="gemini-tuning",
    title="Gemini tuning",
    source="https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare",
    matches=has("contents"),
    read=_read_gemini,
    columns=_COMMON | {"contents", "systemInstruction", "system_instruction", "tools"},
)
