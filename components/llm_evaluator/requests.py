"""Builds the requests to the service LLM; sending them is left to `judging` and `ceiling`.

Text that comes from data or from a model stands inside blocks only, whose key its author cannot
know. Requests depend on nothing but their arguments, so a run that is repeated finds every paid
reply in the journal.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Literal

from components.llm_evaluator import templates
from components.llm_evaluator.schemas import Answer, Verdict
from components.llm_evaluator.settings import EvaluatorSettings
from components.records import SEED_SPLIT, ResponseRow
from components.service_llm.blocks import block, block_key
from components.service_llm.types import Request
from components.task import Task

Position = Literal["a", "b"]


@dataclasses.dataclass(frozen=True, order=True)
class Candidate:
    """What a verdict depends on; equal candidates of several models are judged once.

    Attributes:
        prompt: The coverage prompt.
        output: The desired output.
        response: What a model answered.
    """

    prompt: str
    output: str
    response: str

    def digest(self) -> bytes:
        """32 bytes that stand for this candidate in the order of votes and in label files."""
        parts = (part.encode() for part in (self.prompt, self.output, self.response))
        return hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).digest()


def candidate_position(candidate: Candidate, vote: int) -> Position:
    """Where the candidate's response stands in a vote.

    It alternates over votes. Which place comes first depends on the candidate, so that with an odd
    number of votes no place is preferred over all rows.
    """
    return "a" if (candidate.digest()[0] + vote) % 2 == 0 else "b"


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

    def judge(self, candidate: Candidate, vote: int, *, tag: str) -> Request:
        """Asks for one vote on a candidate's response and the desired output."""
        key = self._key(templates.JUDGE, *dataclasses.astuple(candidate), str(vote))
        answers = (candidate.response, candidate.output)
        first, second = answers if candidate_position(candidate, vote) == "a" else answers[::-1]
        prompt = templates.render(
            templates.JUDGE,
            task=block("task", self.task.text(), key),
            prompt=block("prompt", candidate.prompt, key),
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
        """Asks for the service LLM's own output, with seed pairs as examples but never the row.

        Args:
            row: The coverage row, as some model's response row.
            rows: The rows to take the seeds from.
            tag: Returned with the result.
        """
        key = self._key(templates.ANSWER, row.prompt)
        shown = _examples(row, rows, self.settings.baseline_examples)
        prompt = templates.render(
            templates.ANSWER,
            task=block("task", self.task.text(), key),
            examples="\n".join(block("example", line, key) for line in shown),
            message=block("message", row.prompt, key),
        )
        return Request(
            prompt=prompt,
            schema=Answer,
            temperature=0.0,
            max_output_tokens=self.settings.max_output_tokens,
            tag=tag,
        )

    def _key(self, kind: str, *parts: str) -> str:
        return block_key(self.salt, kind, *parts)


def _examples(row: ResponseRow, rows: Sequence[ResponseRow], count: int) -> list[str]:
    seeds = {r.id: r for r in rows if r.split == SEED_SPLIT and r.prompt != row.prompt}
    ranked = sorted(
        seeds.values(), key=lambda s: hashlib.sha256(f"{row.id}\0{s.id}".encode()).digest()
    )
    return [
        json.dumps({"prompt": seed.prompt, "output": seed.output}, ensure_ascii=False)
        for seed in ranked[:count]
    ]
