"""Tells the kinds of request apart and answers each."""

import json
from typing import NamedTuple

from standin.attributes import propose
from standin.blocks import Blocks, read_blocks
from standin.compose import Example, Wish, compose
from standin.errors import bad_request
from standin.judge import judge, ordered_score, score
from standin.labels import TASK_NAME, read_label
from standin.leaks import find_leak
from standin.protocol import Ask
from standin.triage import triage

_KINDS = {
    "prompts": ("messages",),
    "answer": ("output",),
    "score": ("reason", "score"),
    "judge": ("reason", "similarity", "correctness_a", "correctness_b"),
    "leak": ("reason", "same_as"),
    "attributes": (
        "persona",
        "difficulty",
        "length",
        "tone",
        "format",
        "language",
        "edge_case",
    ),
}
_OTHER_TASK = (
    f"This server is a stand-in without a language model. It knows only the demonstration task "
    f"{TASK_NAME!r} and got {{got}}. For any other task configure a real service LLM: preset "
    "gemini, gemini-vertex or openai-compatible."
)


class Thought(NamedTuple):
    """What the stand-in says to a request.

    Attributes:
        kind: `attributes`, `prompts`, `answer`, `score`, `judge` or `leak`.
        text: A JSON object with the fields that were asked for.
    """

    kind: str
    text: str


def think(ask: Ask, *, is_literal: bool = False) -> Thought:
    """Answers a request.

    Args:
        ask: The request.
        is_literal: Whether a judge obeys what stands outside of all blocks.

    Raises:
        HttpError: The request is about another task, or of no known kind.
    """
    blocks = read_blocks(ask.prompt)
    task = next(iter(blocks.texts("task")), "no task block").partition("\n")[0].strip()
    if task != TASK_NAME:
        raise bad_request(_OTHER_TASK.format(got=repr(task[:80])))
    kind = next((k for k, fields in _KINDS.items() if set(fields) == set(ask.fields)), None)
    if kind is None:
        asked = ", ".join(ask.fields) or "no fields"
        raise bad_request(_OTHER_TASK.format(got=f"a request for {asked}"))
    try:
        reply = _reply(kind, blocks, ask.seed, is_literal=is_literal)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise bad_request(f"The {kind} request cannot be read: {error!r}.") from error
    return Thought(kind, json.dumps(reply, ensure_ascii=False))


def _reply(kind: str, blocks: Blocks, seed: int, *, is_literal: bool) -> dict[str, object]:
    if kind == "attributes":
        return propose([example.prompt for example in _examples(blocks)])
    if kind == "prompts":
        return {"messages": _messages(blocks, seed)}
    if kind == "answer":
        return {"output": triage(blocks.text("message")).to_json()}
    if kind == "score":
        reason, level = score(triage(blocks.text("prompt")), blocks.text("output"))
        return {"reason": reason, "score": level}
    if kind == "leak":
        return find_leak(blocks.text("candidate"), _test_messages(blocks))._asdict()
    return _verdict(blocks, is_literal=is_literal)


def _examples(blocks: Blocks) -> list[Example]:
    read = (json.loads(text) for text in blocks.texts("example"))
    return [Example(fields["prompt"], read_label(fields["output"])) for fields in read]


def _messages(blocks: Blocks, seed: int) -> list[dict[str, object]]:
    examples = _examples(blocks)
    longest = max((len(example.prompt) for example in examples), default=0)
    messages: list[dict[str, object]] = []
    for index, planned in enumerate(json.loads(blocks.text("plan"))):
        like = examples[planned["like_example"] - 1].label if examples else None
        attributes = {n: str(v) for n, v in planned.items() if n not in ("number", "like_example")}
        shown = [example.label for example in examples]
        dice = json.dumps([planned, shown, index, seed], sort_keys=True)
        text = compose(Wish(like, attributes, longest), dice).text
        messages.append({"number": planned.get("number", index + 1), "message": text})
    return messages


def _test_messages(blocks: Blocks) -> list[str]:
    return [text for name, text in blocks.found if name.startswith("test_message_")]


def _verdict(blocks: Blocks, *, is_literal: bool) -> dict[str, object]:
    ordered = ordered_score(blocks.outside) if is_literal else None
    if ordered is not None:
        scores = dict.fromkeys(("similarity", "correctness_a", "correctness_b"), ordered)
        return {"reason": "The request asks for these scores.", **scores}
    right = triage(blocks.text("prompt"))
    return judge(right, blocks.text("answer_a"), blocks.text("answer_b"))._asdict()
