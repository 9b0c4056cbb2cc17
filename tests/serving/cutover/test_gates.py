"""What a step of the walk has to show: quality, errors, patience and latency."""

import json
import math
import re

import numpy as np
import pytest

from core.captured import CapturedExchange
from judging.anytime import ALPHA, quantile_high, quantile_low
from judging.pairs import PairScore
from serving.cutover.gates import Gates
from serving.cutover.pairs import is_healthy
from serving.mode_settings import CutoverSettings
from tests.serving.cutover.conftest import exchange

GOOD = PairScore(1.0, 1.0, True, True, "equal")
BAD = PairScore(1.0, 0.0, False, True, "differs")
UNSCORED = PairScore(1.0, 0.0, False, False, "0 of 3 votes could be read.")


def read(lines):
    return [CapturedExchange.from_json(line) for line in lines]


def pairs(count, begin=0):
    return read(exchange(begin + n, prompt="p", service="s", model="m") for n in range(count))


def ended(count, begin, reason, *, by="none", service=True, text=None):
    """Requests that the model did not answer, by how they ended."""
    lines = []
    for n in range(count):
        line = json.loads(exchange(begin + n, prompt="p", service="s", model=None))
        part = line["service"] | {"text": text} if service else None
        lines.append(json.dumps(line | {"served_by": by, "reason": reason, "service": part}))
    return read(lines)


def left(count, begin):
    return ended(count, begin, "model:client_left", service=False)


def canary(count, begin=0, *, failed=0, slow=0, milliseconds=90.0):
    def model(n):
        return {"text": "m", "milliseconds": 9000.0 if n < slow else milliseconds,
                "confidence": None, "round": 3}  # fmt: skip

    answered = {"served_by": "model", "reason": "canary", "service": None}
    missed = {"served_by": "service", "reason": "model_failed", "model": None}
    return read(
        json.dumps(
            json.loads(exchange(begin + n, prompt="p", service="s", model="m"))
            | (missed if n < failed else answered | {"model": model(n)})
        )
        for n in range(count)
    )


def decide(exchanges, wrong=(), percent=5.0, step_began=""):
    scores = {e.id: GOOD for e in exchanges} | {f"e{n:05}": BAD for n in wrong}
    gates = Gates(CutoverSettings(), 3.0, 4)
    return gates.decide(exchanges, step_began, scores, percent)


@pytest.mark.parametrize(
    ("exchanges", "wrong", "step", "why"),
    [
        (pairs(400) + canary(150, 1000), (), "go on", r"safe to switch: \+0 points over 400 pairs"),
        (pairs(400) + canary(50, 1000), (), "wait", "asked 50 of 100 requests"),
        (pairs(90) + canary(150, 1000), (), "wait", r"not yet: .*90 pairs, about \d+ to come"),
        (pairs(400), range(80), "go back", "worse: -20 points"),
        (pairs(400) + canary(150, 1000, failed=12), (), "go back", "failed at 12 of 150.* 1 %"),
        (pairs(400) + canary(150, 1000, failed=2), (), "wait", "failed at 2 of 150 requests"),
        (
            pairs(400) + canary(150, 1000, milliseconds=1700),
            (),
            "go back",
            "1,700 ms.*800 ms.*2 times",
        ),
        (pairs(400) + canary(150, 1000, slow=12), (), "wait", "within 9,000 ms"),
        (pairs(400) + canary(150, 1000) + left(40, 1150), (), "go back", "40 of 190 callers"),
        (pairs(400) + canary(150, 1000) + left(1, 1150), (), "go on", "1 of 151 callers waited"),
        (
            pairs(400) + ended(30, 900, "client_left") + canary(150, 1000) + left(9, 1150),
            (),
            "go on",
            "9 of 159 callers waited",
        ),
    ],
    ids=[
        "good",
        "few requests",
        "few pairs",
        "worse",
        "errors",
        "some errors",
        "slow",
        "a few slow ones",
        "clients leave",
        "one leaves",
        "clients leave the service, too",
    ],
)
def test_a_step_is_gated_by_quality_errors_and_latency(exchanges, wrong, step, why):
    gate = decide(exchanges, wrong)
    assert gate.step == step, gate.why
    assert re.search(why, gate.why)


@pytest.mark.parametrize(("unscored", "step"), [(500, "go back"), (5, "go on"), (1000, "go back")])
def test_pairs_that_cannot_be_scored_count_as_not_covered_and_are_said(unscored, step):
    exchanges = pairs(1000) + canary(150, 2000)
    scores = {e.id: GOOD for e in exchanges} | {f"e{n:05}": UNSCORED for n in range(unscored)}
    gate = Gates(CutoverSettings(), 3.0, 4).decide(exchanges, "", scores, 5.0)
    assert gate.step == step, gate.why
    assert f"({unscored:,} pairs of the walk could not be scored and count as not" in gate.why
    assert "1000 pairs" in gate.why


@pytest.mark.parametrize(
    ("reason", "options", "why"),
    [
        ("model_failed", {"by": "service", "text": "s"}, "failed at 100 of 250"),
        ("model_failed:F11", {"by": "service", "text": "s"}, "failed at 100 of 250"),
        ("model_failed:F13", {"by": "service"}, "failed at 100 of 250"),
        ("model_failed:F8", {"by": "service"}, "failed at 100 of 250"),
        ("model_failed:F6", {}, "failed at 100 of 250"),
        ("model_failed:breaker:F6", {"service": False}, "failed at 100 of 250"),
        ("model:gateway_failed", {"service": False}, "failed at 100 of 250"),
        ("model:client_left", {"service": False}, "100 of 250 callers waited in vain"),
        ("model_failed:client_left", {}, "100 of 250 callers waited in vain"),
        ("model_failed:deadline", {}, "100 of 250 callers waited in vain"),
    ],
)
def test_a_model_that_fails_or_hangs_is_found_however_its_requests_end(reason, options, why):
    bad = ended(100, 2000, reason, **options)
    gate = decide(pairs(400) + canary(150, 1000) + bad)
    assert (gate.step, why in gate.why) == ("go back", True), gate.why
    alone = decide(pairs(400) + bad)  # it answers nobody
    assert alone.step == "go back", alone.why


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("client_left", {}),
        ("client_left", {"service": False}),  # of the model, while the service was out
        ("deadline", {}),
        ("deadline", {"service": False}),
        ("F4", {"by": "model"}),
        ("F6", {}),
        ("breaker:F6", {"by": "model", "service": False}),
        ("unmatched:too_long", {"by": "service", "text": "s"}),
        ("gateway_stopped", {"service": False}),
        ("gateway_failed", {}),
    ],
)
def test_what_happens_to_requests_of_the_service_sends_no_model_back(reason, options):
    gate = decide(pairs(400) + canary(150, 1000) + ended(100, 2000, reason, **options))
    assert gate.step == "go on", gate.why
    assert "failed at 0 of 150" in gate.why


def test_copies_count_in_the_quality_and_in_no_error_or_latency():
    """Nobody waits for a copy, which gives way to requests: how long it takes says nothing."""
    slow = {"text": "m", "milliseconds": 900_000.0, "confidence": None, "round": 3}
    lines = (exchange(n, prompt="p", service="s", model="m") for n in range(400))
    copies = read(json.dumps(json.loads(line) | {"model": slow}) for line in lines)
    assert decide([*copies, *canary(150, 1000)]).step == "go on"
    gate = decide(copies)
    assert (gate.step, "asked 0 of 100 requests" in gate.why) == ("wait", True)
    assert decide([*copies, *canary(150, 1000, milliseconds=1700)]).step == "go back"


def test_callers_too_impatient_for_both_send_no_model_back():
    hopeless = ended(60, 600, "deadline") + ended(20, 2000, "model_failed:deadline")
    gate = decide(pairs(400) + hopeless + canary(150, 1000))
    assert gate.step == "go on", gate.why


def test_callers_that_a_hanging_model_loses_do_not_pass_for_the_services():
    gate = decide(pairs(150) + canary(150, 1000) + ended(300, 2000, "model_failed:client_left"))
    assert gate.step == "go back"
    assert "300 of 450 callers waited in vain where the model was asked, 0 of 150 at" in gate.why


def test_a_faulty_answer_in_place_of_a_failed_model_is_no_answer_of_a_healthy_service():
    [line] = ended(1, 0, "model_failed:F11", by="service", text="s")
    assert not is_healthy(line)
    [line] = ended(1, 0, "model_failed", by="service", text="s")
    assert is_healthy(line)


def test_a_model_that_turns_bad_is_found_by_the_pairs_of_the_step():
    before, after = pairs(3000), pairs(120, 5000)
    began = after[0].time
    gate = decide(before + after + canary(150, 6000), range(5000, 5060), step_began=began)
    assert (gate.step, "of this step" in gate.why) == ("go back", True)


def swapped(exchanges, **changes):
    """The same from another model of the service."""
    lines = [json.loads(each.to_json()) for each in exchanges]
    for line in lines:
        line["service"] |= {"model_version": "gemini-x-002", **changes}
    return read(json.dumps(line) for line in lines)


def test_pairs_with_a_model_that_the_service_was_swapped_for_allow_no_step():
    gate = decide(pairs(400) + canary(150, 1000) + swapped(pairs(30, 2000)))
    assert gate.step == "wait"
    assert "not yet: +0 points over 30 pairs since the service answers with gemini-x-002 (400" in (
        gate.why
    )
    again = decide(pairs(400) + canary(150, 1000) + swapped(pairs(400, 2000)))
    assert again.step == "go on", again.why


def test_pairs_with_a_model_that_the_service_was_swapped_for_end_no_walk():
    exchanges = pairs(400) + canary(150, 1000) + swapped(pairs(30, 2000))
    assert decide(exchanges, range(200)).step == "wait"
    exchanges = pairs(400) + canary(150, 1000) + swapped(pairs(120, 2000))
    assert "of this step" in decide(exchanges, range(2000, 2080), step_began=pairs(1)[0].time).why


def test_latency_is_compared_with_the_model_that_the_service_answers_with_now():
    exchanges = pairs(400) + canary(150, 1000, milliseconds=300)
    assert decide(exchanges).step == "go on"
    fast = swapped(pairs(400, 2000), milliseconds=100.0)
    gate = decide(exchanges + fast)
    assert (gate.step, "of the service's 100 ms" in gate.why) == ("go back", True), gate.why


def test_at_100_percent_few_answers_of_a_swapped_service_take_no_gate_away():
    exchanges = pairs(400) + canary(150, 1000, milliseconds=1700)
    later = [*exchanges, *swapped(canary(1, 2000, failed=1))]
    assert decide(later, percent=100).step == "go back"


def test_the_last_step_has_no_pairs_of_its_own():
    began = canary(1, 7000)[0].time
    exchanges = pairs(400) + canary(150, 7000)
    assert decide(exchanges, percent=25, step_began=began).step == "wait"
    assert decide(exchanges, percent=100, step_began=began).step == "go on"


def test_where_no_error_is_allowed_the_first_one_goes_back():
    exchanges = pairs(400) + canary(150, 1000, failed=1)
    gates = Gates(CutoverSettings(max_error_percent=0), 3.0, 4)
    gate = gates.decide(exchanges, "", {e.id: GOOD for e in exchanges}, 5.0)
    assert (gate.step, "failed at 1 of 150 requests, more than 0 %" in gate.why) == (
        "go back",
        True,
    )


def stops(slower: float, percent: float, walks: int) -> tuple[int, int]:
    """How many walks end, by the gate and by comparing the two 95th percentiles as they are.

    Looked at ten times, while the model answers 800 requests; as scattered as answers of services.
    """
    generator = np.random.default_rng(1)
    share = (100 - percent) / percent
    alpha = ALPHA / 2 / 4 / 2
    by_gate = by_percentile = 0
    for _ in range(walks):
        own = generator.lognormal(0, 0.8, 800) * slower
        service = generator.lognormal(0, 0.8, int(800 * share))
        looks = [
            (own[:size], service[: int(size * share)])
            for size in (20, 40, 60, 80, 100, 150, 200, 300, 500, 800)
        ]
        by_gate += any(
            quantile_low(a.tolist(), 0.95, alpha) > 2 * quantile_high(b.tolist(), 0.95, alpha)
            for a, b in looks
        )
        by_percentile += any(
            np.quantile(a, 0.95) > 2 * np.quantile(b, 0.95) for a, b in looks if len(a) >= 100
        )
    return by_gate, by_percentile


@pytest.mark.parametrize("percent", [5, 50])
def test_scattered_latencies_end_no_walk_and_slow_answers_do(percent):
    assert stops(1.5, percent, 40)[0] == 0
    by_gate, by_percentile = stops(2.0, percent, 40)  # exactly what is allowed
    assert by_gate <= 1
    assert by_percentile >= 20  # what the gate is for
    assert stops(5.0, percent, 20)[0] == 20


def test_a_bound_of_a_quantile_holds_at_every_look():
    generator = np.random.default_rng(2)
    wrong = [0, 0]
    for _ in range(150):
        values = generator.exponential(size=1000)
        looks = [values[:size].tolist() for size in range(100, 1001, 100)]
        wrong[0] += any(quantile_low(look, 0.95, 0.1) > -np.log(0.05) for look in looks)
        wrong[1] += any(quantile_high(look, 0.95, 0.1) < -np.log(0.05) for look in looks)
    assert max(wrong) <= 22  # 15 are expected at most; more than 22 come by chance in 4 of 100


def test_too_few_values_bound_no_quantile():
    assert quantile_low([], 0.95, 0.05) == -math.inf
    assert quantile_high([1.0] * 20, 0.95, 0.05) == math.inf
    assert quantile_high([1.0] * 400, 0.95, 0.05) == 1.0
    assert quantile_low([1.0] * 10, 0.95, 0.05) == 1.0
