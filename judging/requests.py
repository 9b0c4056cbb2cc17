"""Builds the requests to the service LLM; `judge` and `ceiling` send them.

Text that comes from data or from a model appears only inside blocks, whose key its author cannot
know. Requests depend on nothing but their arguments, so a repeated run finds every paid reply in
the journal.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from core.example_budget import example_line
from core.records import Position, ResponseRow, VerdictRow
from judging import templates
from judging.examples import ExamplePool
from judging.schemas import Answer, Verdict, Verdicts
from judging.settings import EvaluatorSettings
from service_llm.blocks import block, block_key
from service_llm.types import Request
from task.task import Task


@dataclasses.dataclass(frozen=True, order=True)
class JudgedResponse:
    """What a verdict depends on; equal responses of several models are judged once.

    Attributes:
        prompt: The coverage prompt.
        output: The reference.
        response: What a model answered.
        references: Other right answers. They follow from prompt and output, and a file of labels
            does not hold them, so they make no response another one.
    """

    prompt: str
    output: str
    response: str
    references: tuple[str, ...] = dataclasses.field(default=(), compare=False)

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

    def in_order(self, vote: int) -> tuple[str, str]:
        """Return response and reference, or the other way round, as a vote shows them."""
        is_first = response_position(self, vote) == "a"
        return (self.response, self.output) if is_first else (self.output, self.response)


def response_position(judged: JudgedResponse, vote: int) -> Position:
    """Return where the judged response is shown in a vote.

    It alternates from vote to vote. Which position comes first depends on the response, so that
    with an odd number of votes no position is preferred over all rows.
    """
    return "a" if (judged.digest()[0] + vote) % 2 == 0 else "b"


class VoteRequest(NamedTuple):
    """A request for votes.

    Attributes:
        request: The request.
        vote: The number of the vote.
        rows: The numbers of the responses that it shows, in their order.
    """

    request: Request
    vote: int
    rows: tuple[int, ...]


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
        text = templates.JUDGE_REFERENCES if judged.references else templates.JUDGE
        key = self._key(text)
        first, second = judged.in_order(vote)
        right = (block("right_answer", reference, key) for reference in judged.references)
        # Without others the text is the one that was paid for before.
        named = {"references": "\n".join(right)} if judged.references else {}
        prompt = templates.render(
            text,
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

    def judge_rows(self, rows: Sequence[JudgedResponse], vote: int, *, tag: str) -> Request:
        """Request one vote on each of several rows, which are numbered from 1."""
        key = self._key(templates.JUDGE_ROWS)
        blocks = []
        for number, judged in enumerate(rows, start=1):
            first, second = judged.in_order(vote)
            texts = {"prompt": judged.prompt, "answer_a": first, "answer_b": second}
            blocks += [block(f"{name}_{number}", text, key) for name, text in texts.items()]
        prompt = templates.render(
            templates.JUDGE_ROWS,
            self.settings,
            task=block("task", self.task.text(), key),
            rows="\n".join(blocks),
            count=len(rows),
        )
        return Request(
            prompt=prompt,
            schema=Verdicts,
            temperature=self.settings.temperature,
            max_output_tokens=self.settings.max_output_tokens * len(rows),
            index=vote,
            tag=tag,
        )

    def votes(self, asked: Sequence[JudgedResponse]) -> Iterator[VoteRequest]:
        """Yield the requests for all votes on responses.

        The rows of a request are in one order in even votes and in the other in odd ones, so that
        none is always the last.

        Args:
            asked: The responses.
        """
        size = self.settings.rows_per_request if self.settings.prompts.judge is None else 1
        together = [n for n, judged in enumerate(asked) if not judged.references and size > 1]
        alone = sorted(set(range(len(asked))) - set(together))
        for vote in range(self.settings.votes):
            for number in alone:
                request = self.judge(asked[number], vote, tag="")
                yield VoteRequest(request, vote, (number,))
            for start in range(0, len(together), size):
                part = tuple(together[start : start + size])
                part = part if vote % 2 == 0 else part[::-1]
                request = self.judge_rows([asked[number] for number in part], vote, tag="")
                yield VoteRequest(request, vote, part)

    def answer(self, row: ResponseRow, pool: ExamplePool, *, tag: str) -> Request:
        """Request the service LLM's own output, with seed pairs as examples but never the row.

        Args:
            row: The coverage row, as some model's response row.
            pool: The seeds to show some of.
            tag: Returned with the result.
        """
        text = templates.ANSWER_CONVERSATION if pool.has_conversations else templates.ANSWER
        key = self._key(text)
        shown = map(example_line, pool.shown(row, self.settings))
        prompt = templates.render(
            text,
            self.settings,
            task=block("task", self.task.text(), key),
            examples=block("examples", "\n".join(shown), key),
            message=block("message", row.prompt, key),
        )
        return Request(
            prompt=prompt,
            schema=Answer,
            temperature=0.0,
            max_output_tokens=max(self.settings.max_output_tokens, pool.answer_tokens),
            tag=tag,
        )

    def _key(self, kind: str) -> str:
        return block_key(self.salt, kind)
