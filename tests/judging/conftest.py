import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from core.records import ResponseRow, VerdictRow, Vote
from core.usage import Usage
from judging.requests import RequestBuilder
from judging.settings import EvaluatorSettings
from service_llm.types import Request, Result
from task.task import Task

BLOCK = re.compile(r"<([a-z_]+) ([a-z]{6})>\n(.*?)\n</\1 \2>", re.DOTALL)
TASK = Task(name="capitals", instruction="Answer with the capital of the country.")


class FakeService:
    """Sends nothing: answers each request by a function, in an order of its own."""

    def __init__(self, reply: Callable[[Request], Any], order_seed: int = 0) -> None:
        self.requests: list[Request] = []
        self._reply = reply
        self._order = random.Random(order_seed)

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        sent = list(requests)
        self.requests += sent
        self._order.shuffle(sent)
        for request in sent:
            value = self._reply(request)
            error = value if isinstance(value, str) else None
            yield Result(
                request=request,
                value=None if error else request.schema.model_validate(value),
                error=error,
                raw="",
                usage=Usage(calls=1, prompt_tokens=1, output_tokens=1, cost_usd=None),
                from_journal=False,
            )

    def sent(self, schema_name: str) -> list[Request]:
        return [request for request in self.requests if request.schema.__name__ == schema_name]


def read_blocks(prompt: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, _, text in BLOCK.findall(prompt):
        found.setdefault(name, []).append(text)
    return found


def strict_reply(request: Request) -> dict[str, Any]:
    """Knows no truth: calls equal answers perfect and others different; answers with `Paris`."""
    if request.schema.__name__ == "Answer":
        return {"output": "Paris"}
    blocks = read_blocks(request.prompt)
    equal = blocks["answer_a"] == blocks["answer_b"]
    score = 5 if equal else 2
    return {
        "reason": "Compared.",
        "similarity": score,
        "correctness_a": score,
        "correctness_b": score,
    }


@pytest.fixture
def service() -> Callable[..., FakeService]:
    def make(reply: Callable[[Request], Any] = strict_reply) -> FakeService:
        return FakeService(reply)

    return make


@pytest.fixture
def blocks_of() -> Callable[[str], dict[str, list[str]]]:
    return read_blocks


@pytest.fixture
def builder() -> Callable[..., RequestBuilder]:
    def make(salt: bytes = b"salt", **settings: Any) -> RequestBuilder:
        return RequestBuilder(TASK, EvaluatorSettings(**settings), salt)

    return make


@pytest.fixture
def response_row() -> Callable[..., ResponseRow]:
    def make(id: str, response: str, **changes: Any) -> ResponseRow:
        fields: dict[str, Any] = {
            "id": id,
            "prompt": f"Capital of {id}?",
            "output": "Paris",
            "split": "holdout",
            "tags": (),
            "response": response,
            "finish": "stop",
        }
        return ResponseRow(**(fields | changes))

    return make


@pytest.fixture
def verdict_row() -> Callable[..., VerdictRow]:
    def make(id: str, covered: bool, **changes: Any) -> VerdictRow:
        score = 5 if covered else 1
        fields: dict[str, Any] = {
            "model": "tuned",
            "id": id,
            "split": "holdout",
            "tags": (),
            "prompt": f"Capital of {id}?",
            "output": "Paris",
            "response": "Paris" if covered else "Rome",
            "finish": "stop",
            "sample": 0,
            "covered": covered,
            "scored": True,
            "similarity": float(score),
            "correctness": float(score),
            "reason": "Compared.",
            "votes": (Vote(score, score, 5, "Compared.", "a"),),
            "scores": {"exact_match": float(covered), "json_fields": None, "rouge_l": 0.0},
        }
        return VerdictRow(**(fields | changes))

    return make


@pytest.fixture
def json_object() -> Callable[..., str]:
    return lambda **fields: json.dumps(fields)
