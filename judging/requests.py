"""Builds the requests to the service LLM; `judge` and `ceiling` send them.

Text that comes from data or from a model appears only inside blocks, whose key its author cannot
know. Requests depend on nothing but their arguments, so a repeated run finds every paid reply in
the journal.
"""

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Sequence
from typing import Self

from core.conversation import has_turns, json_value
from core.example_budget import fitting
from core.records import SEED_SPLIT, Position, ResponseRow, VerdictRow
from judging import templates
from judging.schemas import Answer, Verdict
from judging.settings import EvaluatorSettings
from service_llm.blocks import block, block_key
from service_llm.types import Request
from task.task import Task

_MAX_EXAMPLE_POOL = 256


@dataclasses.dataclass(frozen=True, order=True)
class JudgedResponse:
    """What a verdict depends on; equal responses of several models are judged once.

    Attributes:
        prompt: The coverage prompt.
        output: The reference.
        response: What a model answered.
        references: Other right answers.
    """

    prompt: str
    output: str
    response: str
    references: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: ResponseRow | VerdictRow) -> Self:
        """Take what is judged from a row."""
        return cls(row.prompt, row.output, row.response, row.references)

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that a verdict depends on."""
        return (self.prompt, self.output, self.response, *self.references)

    def digest(self) -> bytes:
        """Return 32 bytes that stand for this response in the order of votes."""
        parts = (part.encode() for part in self.texts)
        return hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).digest()


def response_position(judged: JudgedResponse, vote: int) -> Position:
    """Return where the judged response is shown in a vote.

    It alternates from vote to vote. Which position comes first depends on the response, so that
    with an odd number of votes no position is preferred over all rows.
    """
    return "a" if (judged.digest()[0] + vote) % 2 == 0 else "b"


@dataclasses.dataclass(frozen=True)
class RequestBuilder:
    """Makes the requests of one task.

    Attributes:
        task: What is taken over.
        settings: Votes, temperature and sizes.
        salt: Random bytes that no author of a text in a block knows.
    """

    task: Task
    settings: EvaluatorSettings
    salt: bytes

    def judge(self, judged: JudgedResponse, vote: int, *, tag: str) -> Request:
        """Request one vote on a response and its reference."""
        key = self._key(templates.JUDGE, *judged.texts, str(vote))
        answers = (judged.response, judged.output)
        first, second = answers if response_position(judged, vote) == "a" else answers[::-1]
        right = (block("right_answer", reference, key) for reference in judged.references)
        # Without others the text is the one that was paid for before.
        named = {"references": "\n".join(right)} if judged.references else {}
        prompt = templates.render(
            templates.JUDGE_REFERENCES if judged.references else templates.JUDGE,
            self.settings,
            **named,
            task=block("task", self.task.text(), key),
            prompt=block("prompt", judged.prompt, key),
            answer_a=block("answer_a", first, key),
            answer_b=block("answer_b", second, key),
        )
        return Request(
            prompt=prompt,
            schema=Verdict,
            temperature=self.settings.temperature,
            max_output_tokens=self.settings.max_output_tokens,
            index=vote,
            tag=tag,
        )

    def answer(self, row: ResponseRow, rows: Sequence[ResponseRow], *, tag: str) -> Request:
        """Request the service LLM's own output, with seed pairs as examples but never the row.

        Args:
            row: The coverage row, as some model's response row.
            rows: The rows to take the seeds from.
            tag: Returned with the result.
        """
        text = templates.ANSWER_CONVERSATION if _has_conversations(rows) else templates.ANSWER
        key = self._key(text, row.prompt)
        shown = _examples(row, rows, self.settings)
        prompt = templates.render(
            text,
            self.settings,
            task=block("task", self.task.text(), key),
            examples="\n".join(block("example", line, key) for line in shown),
            message=block("message", row.prompt, key),
        )
        return Request(
            prompt=prompt,
            schema=Answer,
            temperature=0.0,
            max_output_tokens=max(self.settings.max_output_tokens, _answer_tokens(rows)),
            tag=tag,
        )

    def _key(self, kind: str, *parts: str) -> str:
        return block_key(self.salt, kind, *parts)


def _answer_tokens(rows: Sequence[ResponseRow]) -> int:
    """Return generous room for an answer as long as the longest seed: a token per half character.

    It costs nothing unless it is used; the service's own limit caps it.
    """
    return max((2 * len(row.output) for row in rows if row.split == SEED_SPLIT), default=0)


def _has_conversations(rows: Sequence[ResponseRow]) -> bool:
    return any(has_turns(row.prompt) for row in rows if row.split == SEED_SPLIT)


def example_pool(rows: Sequence[ResponseRow]) -> list[ResponseRow]:
    """Select the seeds that examples are picked from: all, or of very many a fixed part.

    Each prompt has an order of its own of the seeds, so without a limit the work grows with the
    square of the rows.

    Args:
        rows: The coverage dataset, as some model's response rows.
    """
    seeds = [row for row in rows if row.split == SEED_SPLIT]
    if len(seeds) <= _MAX_EXAMPLE_POOL:
        return seeds
    return heapq.nsmallest(
        _MAX_EXAMPLE_POOL, seeds, key=lambda seed: hashlib.sha256(seed.id.encode()).digest()
    )


def _examples(
    row: ResponseRow, rows: Sequence[ResponseRow], settings: EvaluatorSettings
) -> list[str]:
    seeds = {r.id: r for r in rows if r.split == SEED_SPLIT and r.prompt != row.prompt}
    ranked = sorted(
        seeds.values(), key=lambda s: hashlib.sha256(f"{row.id}\0{s.id}".encode()).digest()
    )
    shown = fitting(ranked, count=settings.baseline_examples, tokens=settings.max_example_tokens)
    return [
        json.dumps({"prompt": json_value(seed.prompt), "output": seed.output}, ensure_ascii=False)
        for seed in shown
    ]
