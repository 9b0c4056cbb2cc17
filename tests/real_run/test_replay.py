"""Replies of a real language model through parser, form, filters, aim and statistics."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pydantic
import pytest

from components.synth_data_gen.aim import aimed_weights
from components.synth_data_gen.one_round import RoundInputs, run_round
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import Answer
from components.synth_data_gen.settings import SynthSettings
from core.records import CoverageRow, ResponseRow
from core.usage import Usage
from judging import requests as judging_requests
from judging.evaluate import evaluate
from judging.report import describe_judge
from judging.settings import EvaluatorSettings
from service_llm.parsing import parse
from service_llm.types import Finish, Reply, Result
from task.form import infer_form
from task.task import Task

FOLDER = Path(__file__).parent
BLOCK = re.compile(r"<(\w+) ([a-z]{6})>\n(.*?)\n</\1 \2>", re.DOTALL)
TASK = Task(
    name="bike_desk", instruction="Note what customers of a bicycle workshop want, as JSON."
)
ATTRIBUTES = {"tone": ["calm", "curt"]}


class Prompts(pydantic.BaseModel):
    """New messages, as they were asked for then."""

    prompts: list[str]


class Score(pydantic.BaseModel):
    reason: str
    score: int


class Verdict(pydantic.BaseModel):
    reason: str
    similarity: int
    precision_a: int
    precision_b: int


SCHEMAS = {"prompts": Prompts, "answer": Answer, "score": Score, "judge": Verdict}


def lines(name):
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def coverage():
    return [
        CoverageRow(p["id"], p["prompt"], p["output"], p["split"], tuple(p["tags"]))
        for p in lines("pairs.jsonl")
    ]


@pytest.fixture(scope="module")
def exchanges():
    """The exchanges by kind, each with what the parser makes of its reply."""
    found = defaultdict(list)
    for entry in lines("exchanges.jsonl"):
        finish = Finish.REFUSED if "refusal" in entry else Finish(entry["finish"])
        reply = Reply(entry["reply"], finish, 1, 1)
        if entry["kind"] in SCHEMAS:
            entry |= dict(
                zip(("value", "error"), parse(reply, SCHEMAS[entry["kind"]]), strict=True)
            )
        found[entry["kind"]].append(entry)
    return found


class Replay:
    """Answers each request with the reply that a request about the same texts got."""

    def __init__(self, exchanges):
        self._prompts = [e["value"].prompts for e in exchanges["prompts"] if e["value"]]
        self._answers = {e["message"]: e for e in exchanges["answer"]}
        self._scores = {(e["prompt"], e["output"]): e["value"] for e in exchanges["score"]}
        self._verdicts = {
            (e["prompt"], e["answer_a"], e["answer_b"]): e["value"] for e in exchanges["judge"]
        }

    def map(self, requests):
        for request in requests:
            value, error = self._reply(request)
            value = None if error else request.schema.model_validate(value)
            yield Result(request, value, error, "", Usage(1, 1, 1, None), from_journal=False)

    def _reply(self, request):
        blocks = {name: text for name, _, text in BLOCK.findall(request.prompt)}
        kind = request.schema.__name__
        if kind == "ProposedPrompts":
            given = enumerate(self._prompts[int(request.tag)], start=1)
            return {"messages": [{"number": n, "message": text} for n, text in given]}, None
        if kind == "Answer":
            entry = self._answers.get(blocks["message"])
            if entry is None:
                return None, "refused"
            return entry["value"] and entry["value"].model_dump(), entry["error"]
        if kind == "QualityScore":
            score = self._scores.get((blocks["prompt"], blocks["output"]))
            # Rows whose keys are in order now were scored in their first form.
            level = score.score if score else 5
            own = {"own_output": blocks["output"], "difference": "none"}
            return {**own, "reason": score.reason if score else "", "score": level}, None
        verdict = self._verdicts[blocks["prompt"], blocks["answer_a"], blocks["answer_b"]]
        return {
            "reason": verdict.reason,
            "similarity": verdict.similarity,
            "correctness_a": verdict.precision_a,
            "correctness_b": verdict.precision_b,
        }, None


def test_every_reply_is_read_or_refused_for_its_reason(exchanges):
    errors = Counter((kind, e["error"]) for kind in SCHEMAS for e in exchanges[kind])
    assert {key: n for key, n in errors.items() if key[1]} == {
        ("answer", "refused"): 1,
        ("answer", "truncated"): 1,
        ("answer", "bad_output"): 1,  # the task's JSON without the field around it
    }


def test_the_form_of_few_seeds_takes_what_the_model_wrote(exchanges, coverage):
    form = infer_form([row.output for row in coverage if row.split == "seed"])
    outputs = [e["value"].output for e in exchanges["answer"] if e["value"] and not e["error"]]
    misfits = form.misfits(outputs)
    assert len(outputs) > 130
    assert len(misfits) / len(outputs) < 0.02, misfits
    nested = form.tidy(
        '{"intent": "book", "name": null, "when": {"time": null, "day": "Monday"}, "branch": null,'
        ' "work": []}'
    )
    assert '"when": {"day": "Monday", "time": null}' in nested


def test_the_filters_take_the_planted_rows_and_few_others(exchanges, coverage):
    seeds = [row for row in coverage if row.split == "seed"]
    settings = SynthSettings(
        rows_per_round=8 * len(exchanges["prompts"]),
        attributes=ATTRIBUTES,
        max_extra_requests=0,
        min_rows_fraction=0,
    )
    builder = RequestBuilder(TASK, settings, b"0" * 32, seeds)
    found = run_round(Replay(exchanges), builder, RoundInputs(coverage), embed=None, round=1)
    result = found.generation
    reasons = {d.prompt: d.reason for d in result.dropped}

    def reason_of(start):
        return next((r for prompt, r in reasons.items() if start in prompt), None)

    assert reason_of("Sofia Almeida here") == "facts_leak"
    assert reason_of("soz 4 short notice") == "near_duplicate"
    assert reason_of("Deano again lads") == "same_facts"
    assert reason_of("for the disc brakes. {") == "own_answer"
    assert reason_of("IMPORTANT SYSTEM NOTE") == "injection"
    assert reason_of("Betreff: Kettenblatt") == "language"
    assert reason_of("Congratulations! You have been selected") == "quality"
    counts = result.dropped_counts()
    assert counts["quality"] >= 15
    # Without its own reasons, each filter takes what was planted for it, and nothing more.
    assert {r: counts[r] for r in ("injection", "language", "own_answer")} == dict.fromkeys(
        ("injection", "language", "own_answer"), 1
    )
    assert len(result.kept) >= 80
    assert all(json.loads(kept.output)["when"].keys() == {"day", "time"} for kept in result.kept)


@pytest.fixture(scope="module")
def report(exchanges, coverage):
    by_prompt = {row.prompt: row for row in coverage}
    responses, samples = {}, Counter()
    for entry in exchanges["judge"]:
        row = by_prompt[entry["prompt"]]
        for text in (entry["answer_a"], entry["answer_b"]):
            if text != row.output and (row.id, text) not in responses:
                given = ResponseRow(
                    row.id, row.prompt, row.output, row.split, row.tags, text, "stop",
                    sample=samples[row.id],
                )  # fmt: skip
                responses[row.id, text] = given
                samples[row.id] += 1
    settings = EvaluatorSettings(baselines=(), judge_exact_matches=False)
    builder = judging_requests.RequestBuilder(TASK, settings, b"0" * 32)
    return evaluate(
        {"tuned": list(responses.values())},
        Replay(exchanges),
        builder,
        described=describe_judge("openai", "llm", settings),
    )


def test_the_blind_judge_finds_the_faulty_reference(report):
    assert "h07" in report.findings.consistency.suspect_references


def test_the_aim_is_drawn_to_fields_that_were_confused(report, coverage):
    seeds = [row for row in coverage if row.split == "seed"]
    verdicts = [row for row in report.rows if row.split == "seed"]
    weights = aimed_weights(seeds, verdicts, 0.3)
    assert max(weights.values()) > 1.2 * min(weights.values())
