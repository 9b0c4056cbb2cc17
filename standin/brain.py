"""Tells the kinds of request apart and answers each."""

import json
import re
from collections.abc import Callable
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
    "score": ("own_output", "difference", "reason", "score"),
    "judge": ("reason", "similarity", "correctness_a", "correctness_b"),
    "judge_rows": ("verdicts",),
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
# An example: a number where they are numbered, the message as JSON, an arrow, and the output.
_LINE = re.compile(r'(?:\d+\. )?("(?:[^"\\]|\\.)*") => (.*)')
_OTHER_TASK = (
    f"This server is a stand-in without a language model. It knows only the demonstration task "
    f"{TASK_NAME!r} and got {{got}}. For any other task configure a real service LLM: preset "
    "gemini, gemini-vertex or openai-compatible."
)


class Thought(NamedTuple):
    """What the stand-in says to a request.

    Attributes:
        kind: `attributes`, `prompts`, `answer`, `score`, `judge`, `judge_rows` or `leak`.
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
    replies: dict[str, Callable[[], dict[str, object]]] = {
        "attributes": lambda: propose([example.prompt for example in _examples(blocks)]),
        "prompts": lambda: {"messages": _messages(blocks, seed)},
        "answer": lambda: {"output": triage(blocks.text("message")).to_json()},
        "score": lambda: score(triage(blocks.text("prompt")), blocks.text("output"))._asdict(),
        "judge": lambda: _verdict(blocks, is_literal=is_literal),
        "judge_rows": lambda: {"verdicts": _verdicts(blocks)},
        "leak": lambda: find_leak(blocks.text("candidate"), _test_messages(blocks))._asdict(),
    }
    return replies[kind]()


def _examples(blocks: Blocks) -> list[Example]:
    lines = (line for text in blocks.texts("examples") for line in text.split("\n"))
    return [_example(line) for line in lines if line]


def _example(line: str) -> Example:
    read = _LINE.fullmatch(line)
    if read is None:
        raise ValueError(f"{line[:60]!r} is no example")
    return Example(json.loads(read[1]), read_label(read[2]))


def _messages(blocks: Blocks, seed: int) -> list[dict[str, object]]:
    examples = _examples(blocks)
    longest = max((len(example.prompt) for example in examples), default=0)
    shown = [example.label for example in examples]
    names, *lines = (line.split(" | ") for line in blocks.text("plan").split("\n"))
    if names[:2] != ["number", "like_example"]:
        raise ValueError(f"{names[:2]} are no columns of a plan")
    messages: list[dict[str, object]] = []
    for line in lines:
        planned = dict(zip(names, line, strict=False))
        number, like_number = int(planned.pop("number")), int(planned.pop("like_example"))
        like = examples[like_number - 1].label if examples else None
        attributes = {name: value for name, value in planned.items() if value}
        dice = json.dumps([attributes, shown, like_number, number, seed], sort_keys=True)
        text = compose(Wish(like, attributes, longest), dice).text
        messages.append({"number": number, "message": text})
    return messages


def _test_messages(blocks: Blocks) -> list[str]:
    return [text for name, text in blocks.found if name.startswith("test_message_")]


def _verdicts(blocks: Blocks) -> list[dict[str, object]]:
    count = sum(name.startswith("prompt_") for name, _ in blocks.found)
    found = []
    for number in range(1, count + 1):
        texts = (blocks.text(f"{name}_{number}") for name in ("answer_a", "answer_b"))
        scores = judge(triage(blocks.text(f"prompt_{number}")), *texts)
        found.append({"number": number, **scores._asdict()})
    return found


def _verdict(blocks: Blocks, *, is_literal: bool) -> dict[str, object]:
    ordered = ordered_score(blocks.outside) if is_literal else None
    if ordered is not None:
        scores = dict.fromkeys(("similarity", "correctness_a", "correctness_b"), ordered)
        return {"reason": "The request asks for these scores.", **scores}
    right = triage(blocks.text("prompt"))
    return judge(right, blocks.text("answer_a"), blocks.text("answer_b"))._asdict()
