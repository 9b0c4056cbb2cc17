"""Confidence is measured through the server that answers, and its threshold is taken up."""

import asyncio
import json
import threading

import pytest

from core import artifact_files
from core.errors import UserError
from core.records import CoverageRow
from core.reports.confidence import ConfidenceReport
from judging.pairs import PairScore
from serving.cutover.confidence import Answered, ask_holdout, make_report
from serving.cutover.scoring import open_scorer
from serving.model.threshold import known_threshold
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, gemini_request

WRONG = '{"category": "returns"}'


def unsure_where_wrong(slots: dict) -> fakes.Behavior:
    """Is sure of all answers but those to prompts with a `?`, which are wrong."""
    lock = threading.Lock()

    async def behave(request, reply):
        with lock:
            slots["now"] = slots.get("now", 0) + 1
            slots["most"] = max(slots.get("most", 0), slots["now"])
        prompt = request.json["messages"][-1]["content"]
        is_unsure = "?" in prompt
        log = -2.0 if is_unsure else -0.001
        tokens = [{"token": "x", "logprob": log}, {"token": "y", "logprob": log}]
        text = WRONG if is_unsure else '{"category": "billing"}'
        await asyncio.sleep(0.005)  # others may begin
        await reply.begin_chunks()
        parts = [
            {"index": 0, "delta": {"content": text}, "logprobs": {"content": tokens}},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        for part in parts:
            await reply.chunk(b"data: " + json.dumps({"choices": [part]}).encode() + b"\n\n")
        with lock:
            slots["now"] -= 1
        await reply.end_chunks()

    return behave


@pytest.fixture
def preset(preset_of):
    rows = tuple(
        CoverageRow(f"h{n}", f"Charged twice {n}{'?' * (n % 4 == 0)}", '{"category": "billing"}',
                    "holdout" if n < 160 else "seed")
        for n in range(170)
    )  # fmt: skip
    return preset_of(confidence={"enabled": True}).model_copy(update={"coverage": rows})


def measured(servers, preset) -> ConfidenceReport:
    task = servers.task(slots=3)
    answers = servers.run(ask_holdout(preset, task))
    with open_scorer(preset, "confidence") as scorer:
        return make_report(preset, task, answers, scorer)


def test_the_threshold_leaves_out_what_is_wrong(servers, preset):
    slots = {}
    servers.model.behavior = unsure_where_wrong(slots)
    report = measured(servers, preset)
    assert len(report.rows) == 160  # the holdout, and nothing of the seeds
    assert (report.slots, slots["most"]) == (3, 3)
    assert (report.chosen.kept, report.chosen.threshold) == (120, pytest.approx(-0.001))
    right = report.chosen.right
    # Wilson's interval of 120 in 120.
    assert (right.rate_percent, right.low_percent, right.high_percent) == (100, 96.9, 100)
    assert "Of the 120 surest of 160 answers 100.0 % are right (96.9 to 100.0 %)." in report.reason
    assert [point.kept for point in report.curve] == [120, 160]
    file = preset.output_dir / artifact_files.CONFIDENCE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(report.to_json())
    said = []
    version = report.model_version
    assert known_threshold(preset, version, 3, said.append) == pytest.approx(-0.001)
    assert said == []
    assert known_threshold(preset, "triage/round-4@other", 3, said.append) is None
    assert known_threshold(preset, version, 4, said.append) is None
    stricter = preset.settings.confidence.model_copy(update={"right_percent": 99.5})
    changed = preset.settings.model_copy(update={"confidence": stricter})
    other = preset.model_copy(update={"settings": changed})
    assert known_threshold(other, version, 3, said.append) is None
    assert f"now the model triage/round-4@other, not {version}." in said[0]
    assert "now serving.model.slots 4, not 3." in said[1]
    assert "now serving.confidence.right_percent 99.5, not 95." in said[2]
    assert all("Run `understudy confidence --preset triage.yaml` again." in each for each in said)


def test_below_the_threshold_that_was_measured_an_answer_is_marked_or_the_services(servers, preset):
    servers.model.behavior = unsure_where_wrong({})
    file = preset.output_dir / artifact_files.CONFIDENCE
    file.write_text(measured(servers, preset).to_json())
    task = servers.task(slots=3, measures_confidence=True, output_schema=None, samples=())
    threshold = known_threshold(preset, task.model_version, task.slots, print)
    task = task.model_copy(update={"min_confidence": threshold})

    def replies(mode):
        servers.restart(servers.settings(mode=mode), [task])
        return [
            (reply.headers["x-understudy-served-by"], reply.headers.get("x-understudy-confidence"))
            for prompt in ("Charged twice", "Charged twice?")
            for reply in [servers.post(GEMINI_PATH, gemini_request(prompt))]
        ]

    assert replies("model") == [("model", None), ("model", "low")]
    assert replies("cascade") == [("model", None), ("service", None)]


def test_answers_that_cannot_be_scored_are_not_right(servers, preset):
    task = servers.task()
    answers = [
        Answered(row, row.output, -0.1, 0.1) for row in preset.coverage if row.split == "holdout"
    ]

    class Scorer:
        name = "judge"

        def score(self, pairs):
            unscored = PairScore(1.0, 0.0, False, False, "0 of 3 votes could be read.")
            good = PairScore(1.0, 1.0, True, True, "")
            return [unscored if n % 2 else good for n in range(len(pairs))]

    report = make_report(preset, task, answers, Scorer())
    assert (report.chosen, len(report.rows)) == (None, 160)
    assert report.curve[-1].right.rate_percent == 50
    assert "80 of 160 answers could not be scored and count as not covered." in report.reason


def test_a_threshold_of_the_preset_comes_first(preset_of):
    own = preset_of(confidence={"enabled": True, "threshold": -0.5})
    assert known_threshold(own, "any", 4, print) == -0.5


def test_without_measured_confidence_there_is_no_threshold(preset_of):
    """Or a cascade would be taken, and every answer of the model would be thrown away as unsure."""
    assert known_threshold(preset_of(confidence={"threshold": -0.5}), "any", 4, print) is None


def test_a_server_without_log_probabilities_is_named(servers, preset):
    with pytest.raises(UserError, match="returns no log-probabilities"):
        measured(servers, preset)


def test_without_a_holdout_it_says_so(servers, preset):
    empty = preset.model_copy(update={"coverage": ()})
    with pytest.raises(UserError, match="has no holdout row"):
        measured(servers, empty)


def test_a_prompt_that_is_not_answered_ends_those_that_are_waited_for(servers, preset):
    ended = []

    async def behave(request, reply):
        if "0" in request.json["messages"][-1]["content"]:
            await reply.whole(b'{"error": {"message": "no"}}', 400)
        else:
            await reply.stall()
            ended.append(1)

    servers.model.behavior = behave
    with pytest.raises(UserError):
        servers.run(ask_holdout(preset, servers.task(slots=3)))
    servers.wait_until(lambda: len(ended) == len(servers.model.received) - 1)
