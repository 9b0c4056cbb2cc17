from collections import Counter

import pytest

from core.records import CoverageRow
from judging.estimate import (
    ExpectedResponses,
    expected_embeddings,
    expected_requests,
)
from judging.judge import judge
from judging.requests import JudgedResponse
from judging.settings import EvaluatorSettings
from task.task import Task

ROWS = [CoverageRow(str(n), f"Question {n}?", "Paris", "seed") for n in range(5)]
TASK = Task(name="capitals", instruction="Answer.")


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        pytest.param({"baselines": []}, {}, {"Verdict": 10}, id="one model"),
        pytest.param({"baselines": ["base"]}, {"baselines": 1}, {"Verdict": 20}, id="with base"),
        pytest.param({}, {}, {"Answer": 5, "Verdict": 20}, id="with service"),
        pytest.param({}, {"baselines": 1, "round": 2}, {"Verdict": 10}, id="a later round"),
        pytest.param({}, {"repeated": 0.4}, {"Answer": 5, "Verdict": 16}, id="repeated"),
        pytest.param({"baselines": [], "votes": 1}, {"samples": 3}, {"Verdict": 15}, id="samples"),
    ],
)
def test_requests_are_counted_by_what_is_asked(settings, options, expected):
    responses = ExpectedResponses(**{"round": 1, "baselines": 0} | options)
    found = expected_requests(ROWS, TASK, EvaluatorSettings(**settings), responses)
    counts = Counter()
    for request, _, times in (*found.answers, *found.verdicts):
        counts[request.schema.__name__] += times
    assert counts == expected


def test_the_requests_are_as_long_as_real_ones(service, builder):
    llm, made = service(), builder(baselines=[])
    judge([JudgedResponse(r.prompt, r.output, r.output) for r in ROWS], llm, made, made.settings)
    responses = ExpectedResponses(1, 0)
    expected = expected_requests(ROWS, made.task, made.settings, responses).verdicts
    lengths = [len(r.prompt) for r, _, times in expected for _ in range(times)]
    assert sorted(lengths) == sorted(len(r.prompt) for r in llm.requests)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        pytest.param({}, 1 + 2 * 5, id="one output, tuned and service"),
        pytest.param({"baselines": 2, "samples": 3}, 1 + 5 * (2 * 3 + 1 + 3), id="samples"),
        pytest.param({"baselines": 2, "round": 2, "repeated": 0.4}, 3, id="a later round"),
    ],
)
def test_vectors_are_counted_of_outputs_and_of_new_responses(options, texts):
    responses = ExpectedResponses(**{"round": 1, "baselines": 0} | options)
    found = list(expected_embeddings(ROWS, EvaluatorSettings(), responses))
    assert len(found) == texts
    assert {(request.prompt, reply) for request, reply, _ in found} == {("Paris", 0)}
