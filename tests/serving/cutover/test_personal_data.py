"""What `watch`, `confidence` and `verdict` send of the coverage rows of a task that redacts."""

import datetime
import json

import pytest

from core.records import CoverageRow
from core.reports.watch import WatchReport
from core.usage import Usage
from judging.pairs import PairScore
from judging.schemas import Answer
from service_llm.types import Result
from serving.cutover.confidence import ask_holdout, make_report
from serving.cutover.scoring import open_scorer
from serving.cutover.verdict import make_candidates, make_verdict
from serving.cutover.watch import Watch
from task.coverage.redaction import redacted_rows
from task.privacy import PrivacySettings
from tests.serving.cutover.conftest import START, exchange

PERSONAL = ("@planted.example", "DE89 3704 0044 0532 0130 00", "+49 30 901820")
ROWS = tuple(
    CoverageRow(
        f"c{n}",
        f"{word} is wrong, write to ada{n}{PERSONAL[0]} or {PERSONAL[2]}, refund {PERSONAL[1]}",
        json.dumps({"mail": f"ada{n}{PERSONAL[0]}", "iban": PERSONAL[1]}),
        ("seed", "holdout")[n % 2],
        (f"by bob{PERSONAL[0]}",),
    )
    for n, word in enumerate(("Kettle", "Lamp", "Invoice", "Parcel", "Delivery", "Colour"))
)
HIDDEN = {"mail": "[EMAIL_1]", "iban": "[IBAN_1]"}


@pytest.fixture
def preset(preset_of):
    privacy = PrivacySettings(redact=True)
    lines = [
        exchange(n, prompt=f"Nobody knows {n} of [EMAIL_1]", service="{}", model="{}")
        for n in range(3)
    ]
    made = preset_of(lines, watch={"prompts": 3}, confidence={"enabled": True})
    return made.model_copy(update={"coverage": ROWS, "privacy": privacy})


class Service:
    """Answers as a service that has seen placeholders, and keeps the requests."""

    def __init__(self):
        self.requests = []

    def map(self, requests):
        for request in requests:
            self.requests.append(request)
            answer = Answer(output=json.dumps(HIDDEN))
            yield Result(request, answer, None, "", Usage(1, 1, 1, 0.0), False, "v")


class Scorer:
    """Keeps what the judge would get."""

    name = "json_fields"

    def __init__(self):
        self.pairs = []

    def score(self, pairs):
        self.pairs += pairs
        return [
            PairScore(1.0, 1.0, json.loads(p.output) == json.loads(p.response), True, "")
            for p in pairs
        ]

    def used(self):
        return Usage()


class Gateway:
    """Has a tuned model that answers with placeholders, and keeps what it is asked."""

    def __init__(self):
        self.asked = []

    def post(self, name, values, timeout_seconds=30.0):
        if name != "sample":
            return {}
        self.asked.append(values["text"])
        return {"text": json.dumps(HIDDEN), "round": 1, "model_version": "v"}


def personal_in(*things):
    return [each for each in PERSONAL if any(each in str(thing) for thing in things)]


def event(part):
    return b"data: " + json.dumps({"choices": [part]}).encode() + b"\n\n"


def test_a_look_sends_placeholders_and_compares_with_them(preset):
    service, scorer, gateway = Service(), Scorer(), Gateway()
    look = Watch(
        preset, service=service, scorer=scorer, gateway=gateway,
        report=WatchReport(task="triage"), keep=lambda report: None,
        now=lambda: START + datetime.timedelta(days=1),
    ).look()  # fmt: skip
    sent = [f"{request.system}{request.prompt}" for request in service.requests]
    assert len(sent) == len(gateway.asked) == 3
    assert personal_in(*sent, *gateway.asked, *scorer.pairs) == []
    assert all("[IBAN_1]" in text for text in (*sent, *gateway.asked))
    assert (look.service.covered, look.model.covered) == (3, 3)


def test_confidence_is_judged_on_placeholders(servers, preset):
    async def behave(request, reply):
        tokens = [{"token": "x", "logprob": -0.1}]
        await reply.begin_chunks()
        for part in (
            {"index": 0, "delta": {"content": json.dumps(HIDDEN)}, "logprobs": {"content": tokens}},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ):
            await reply.chunk(event(part))
        await reply.end_chunks()

    servers.model.behavior = behave
    task = servers.task(privacy=preset.privacy, output_schema=None, samples=())
    answers = servers.run(ask_holdout(preset, task))
    scorer = Scorer()
    report = make_report(preset, task, answers, scorer)
    assert len(scorer.pairs) == 3
    assert personal_in(*scorer.pairs, report.to_json()) == []
    assert {pair.response for pair in scorer.pairs} == {json.dumps(HIDDEN)}


def test_a_captured_prompt_is_known_by_its_placeholders(preset, tmp_path):
    """Otherwise a prompt of the holdout could become a seed, since captures are redacted."""
    held = redacted_rows(ROWS, preset.privacy)[1]
    prompts = [held.prompt, "Where on earth is the umbrella stand that nobody ordered"]
    lines = [exchange(n, prompt=p, service="{}", model=None) for n, p in enumerate(prompts)]
    (file,) = (tmp_path / "serving" / "capture").glob("*.jsonl")
    file.write_text("".join(f"{line}\n" for line in lines))
    with open_scorer(preset, "verdict") as scorer:
        report = make_verdict(preset, scorer)
    assert [row.prompt for row in make_candidates(preset, report)] == prompts[1:]
