import json
import random
import re
import string
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from core.records import CoverageRow
from core.usage import Usage
from service_llm.types import Request, Result
from task.task import Task

BLOCK = re.compile(r"<([a-z_]+) ([a-z]{6})>\n(.*?)\n</\1 \2>", re.DOTALL)
CITIES = "Lima Oslo Cairo Quito Delhi Turin Osaka Perth Accra Hanoi Malmo Porto".split()  # noqa: SIM905
THINGS = "umbrella kettle violin ladder compass blanket lantern bicycle mirror hammer".split()  # noqa: SIM905
VERBS = "misplaced delivered repaired scratched returned borrowed painted weighed".split()  # noqa: SIM905


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
            usage = Usage(calls=1, prompt_tokens=1, output_tokens=1, cost_usd=None)
            yield Result(
                request=request,
                value=None if error else request.schema.model_validate(value),
                error=error,
                raw="",
                usage=usage,
                from_journal=False,
            )

    def sent(self, schema_name: str) -> list[Request]:
        return [request for request in self.requests if request.schema.__name__ == schema_name]


def read_blocks(prompt: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, _, text in BLOCK.findall(prompt):
        found.setdefault(name, []).append(text)
    return found


def read_examples(prompt: str) -> list[tuple[Any, str]]:
    """Prompt and output of each example, in their order."""
    lines = [
        re.sub(r"^\d+\. ", "", line) for line in read_blocks(prompt)["examples"][0].split("\n")
    ]
    found = []
    for line in lines:
        shown, end = json.JSONDecoder().raw_decode(line)
        assert line[end : end + 4] == " => "
        found.append((shown, line[end + 4 :]))
    return found


def read_plan(table: str) -> list[dict[str, Any]]:
    names, *lines = (line.split(" | ") for line in table.split("\n"))
    plan = [dict(zip(names, line, strict=False)) for line in lines]
    return [{**p, "number": int(p["number"]), "like_example": int(p["like_example"])} for p in plan]


def write_message(rng: random.Random) -> str:
    number = rng.randint(100, 999)
    # Names of nothing, so that no two messages are alike.
    names = " ".join("".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(4))
    return (
        f"{rng.choice(CITIES)} {rng.choice(VERBS)} my {rng.choice(THINGS)} number {number}"
        f" near {rng.choice(CITIES)} while the {rng.choice(THINGS)} was {rng.choice(VERBS)}"
        f" by {names}"
    )


def honest_reply(request: Request) -> Any:
    """What a well-behaved service LLM would send back."""
    blocks = read_blocks(request.prompt)
    rng = random.Random(request.prompt)
    kind = request.schema.__name__
    if kind == "ProposedPrompts":
        plan = read_plan(blocks["plan"][0])
        # Requests may read the same, and differ in their number.
        rng = random.Random(f"{request.prompt}{request.index}")
        return {"messages": [{"number": o["number"], "message": write_message(rng)} for o in plan]}
    if kind == "Answer":
        city = blocks["message"][0].split()[0]
        return {"output": json.dumps({"city": city, "urgent": False})}
    if kind == "QualityScore":
        output = blocks["output"][0]
        return {"own_output": output, "difference": "none", "reason": "Right.", "score": 5}
    return {name: [f"{name} {n}" for n in range(4)] for name in AttributeSets.model_fields}


@pytest.fixture(scope="session")
def make_service() -> Callable[..., FakeService]:
    def make(reply: Callable[[Request], Any] = honest_reply, order_seed: int = 0) -> FakeService:
        return FakeService(reply, order_seed)

    return make


@pytest.fixture(scope="session")
def reply() -> Callable[[Request], Any]:
    return honest_reply


@pytest.fixture
def blocks() -> Callable[[str], dict[str, list[str]]]:
    return read_blocks


@pytest.fixture
def examples() -> Callable[[str], list[tuple[Any, str]]]:
    return read_examples


@pytest.fixture
def plan_of() -> Callable[[str], list[dict[str, Any]]]:
    return lambda prompt: read_plan(read_blocks(prompt)["plan"][0])


@pytest.fixture(scope="session")
def seeds() -> list[CoverageRow]:
    """Twelve seeds whose outputs are JSON in one style."""
    rows = []
    for number, city in enumerate(CITIES):
        prompt = f"Seed {number}: this parcel for {city} fell off our highest shelf"
        output = json.dumps({"city": city, "urgent": number % 2 == 0})
        tags = ("even",) if number % 2 == 0 else ("odd",)
        rows.append(CoverageRow(f"seed-{number}", prompt, output, "seed", tags))
    return rows


@pytest.fixture(scope="session")
def holdout() -> list[CoverageRow]:
    return [
        CoverageRow(
            f"holdout-{n}", f"Secret {n} of {city}: zebra stripes fade slowly", "{}", "holdout"
        )
        for n, city in enumerate(CITIES[:4])
    ]


@pytest.fixture
def attributes() -> AttributeSets:
    return AttributeSets(
        **{name: [f"{name} {n}" for n in range(4)] for name in AttributeSets.model_fields}
    )


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(name="city_finder", instruction="Name the city and say whether it is urgent.")


@pytest.fixture
def make_builder(task: Task, seeds: list[CoverageRow]) -> Callable[..., RequestBuilder]:
    def make(rows: list[CoverageRow] | None = None, **settings: Any) -> RequestBuilder:
        return RequestBuilder(task, SynthSettings(**settings), b"0" * 32, rows or seeds)

    return make
