"""Decide after each look at a cut-over: advance, wait, or go back."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from core.captured import CapturedExchange
from core.reports.switch import SAFE, WORSE
from judging.anytime import ALPHA, Bounded, quantile_high, quantile_low
from judging.pairs import PairScore
from judging.switching import ScoredPair, decide
from serving.cutover.pairs import is_healthy, is_pair, newest_version, of_version
from serving.mode_settings import CutoverSettings

_QUANTILE = 0.95
_CANARY, _FAILED, _LEFT = "canary", "model_failed", "client_left"
_DEADLINE = "deadline"
_ALL = 100.0

Step = Literal["go on", "wait", "go back"]


class StepGate(NamedTuple):
    """What is to be done, and why.

    Attributes:
        step: What.
        why: In words.
    """

    step: Step
    why: str


class Gates:
    """Decides about the steps of one walk.

    Over the whole walk a verdict on quality is wrong with a probability of at most 5 %: half of it
    is spent on the pairs of the whole walk, which must show that the model is good enough, and half
    on the pairs of each step, which show when it has become bad.

    Args:
        settings: What a step has to show.
        margin_points: By how much the model may be worse, in percentage points.
        steps: How many steps there are.
    """

    def __init__(self, settings: CutoverSettings, margin_points: float, steps: int) -> None:
        self._settings = settings
        self._margin = margin_points
        self._walk_alpha = ALPHA / 2
        self._step_alpha = ALPHA / 2 / steps

    def decide(
        self,
        walk: Sequence[CapturedExchange],
        step_began: str,
        scores: Mapping[str, PairScore],
        percent: float,
    ) -> StepGate:
        """Decide about a step.

        Args:
            walk: All exchanges since the walk began.
            step_began: When the present step began, ISO 8601 in UTC.
            scores: Scores of the pairs among them, by the exchange's id.
            percent: Share of the users that the step gives to the model.
        """
        step = [exchange for exchange in walk if exchange.time >= step_began]
        pairs = [exchange for exchange in walk if is_pair(exchange)]
        # What another model of the service did, before it was swapped, says nothing of this one.
        version = newest_version(pairs)
        own = of_version(pairs, version)
        service = of_version([exchange for exchange in walk if is_healthy(exchange)], version)
        gates = (
            self._quality(own, step_began, scores, percent, left_out=len(pairs) - len(own)),
            self._errors(step),
            self._patience(step, walk),
            self._latency(step, service),
        )
        for wanted in ("go back", "wait"):
            for gate in gates:
                if gate.step == wanted:
                    return gate
        return StepGate("go on", "; ".join(gate.why for gate in gates))

    def _errors(self, step: Sequence[CapturedExchange]) -> StepGate:
        failed = [_is_failed(each) for each in step if _is_models(each)]
        most = self._settings.max_error_percent / 100
        text = f"the model failed at {sum(failed)} of {len(failed)} requests"
        if _are(failed).is_above(2 * most - 1, self._step_alpha):
            return StepGate("go back", f"{text}, more than {self._settings.max_error_percent:g} %")
        if len(failed) < self._settings.min_requests:
            of = self._settings.min_requests
            return StepGate("wait", f"the model has been asked {len(failed)} of {of} requests")
        if sum(failed) > most * len(failed):
            return StepGate("wait", text)
        return StepGate("go on", text)

    def _patience(
        self, step: Sequence[CapturedExchange], walk: Sequence[CapturedExchange]
    ) -> StepGate:
        """Compare how many clients leave: a model that hangs neither fails nor is slow."""
        own = [_is_left(each) for each in step if _is_models(each) or _left_the_model(each)]
        others = [_is_left(each) for each in walk if is_healthy(each) or _left_the_service(each)]
        usual = (_are(others).high(self._step_alpha / 2) + 1) / 2
        most = min(1.0, usual + self._settings.max_error_percent / 100)
        text = f"{sum(own)} of {len(own)} clients left before the model had answered"
        if _are(own).is_above(2 * most - 1, self._step_alpha / 2):
            return StepGate("go back", f"{text}, {sum(others)} of {len(others)} at the service")
        return StepGate("go on", text)

    def _latency(
        self, step: Sequence[CapturedExchange], answered: Sequence[CapturedExchange]
    ) -> StepGate:
        own = [each.model.milliseconds for each in step if _is_models(each) and each.model]
        # Of the whole walk: at 100 % the service answers nothing any more.
        service = [each.service.milliseconds for each in answered if each.service]
        if not own or not service:
            return StepGate("go on", "no latency to compare")
        ratio, alpha = self._settings.max_latency_ratio, self._step_alpha / 2
        slow, usual = _quantile(own), _quantile(service)
        text = (
            f"95 % of the model's answers within {slow:,.0f} ms, of the service's {usual:,.0f} ms"
        )
        # Few requests scatter widely at this quantile, and it is looked at again and again.
        if quantile_low(own, _QUANTILE, alpha) > ratio * quantile_high(service, _QUANTILE, alpha):
            return StepGate("go back", f"{text}, more than {ratio:g} times")
        return StepGate("wait" if slow > ratio * usual else "go on", text)

    def _quality(
        self,
        pairs: Sequence[CapturedExchange],
        step_began: str,
        scores: Mapping[str, PairScore],
        percent: float,
        *,
        left_out: int,
    ) -> StepGate:
        step = [pair for pair in pairs if pair.time >= step_began]
        of_step = decide(_scored(step, scores), self._margin, self._step_alpha)
        of_walk = decide(_scored(pairs, scores), self._margin, self._walk_alpha)
        for name, found in (("this step", of_step), ("the whole walk", of_walk)):
            if found.state == WORSE:
                return StepGate(
                    "go back",
                    f"worse: {found.difference_points:+g} points ({found.low_points:+g} to "
                    f"{found.high_points:+g}) over the {found.pairs} pairs of {name}",
                )
        text = f"{of_walk.state}: {of_walk.difference_points:+g} points over {of_walk.pairs} pairs"
        if left_out:
            now = newest_version(pairs)
            text += f" since the service answers with {now} ({left_out:,} pairs before left out)"
        if of_walk.state != SAFE:
            more = "" if of_walk.more_pairs is None else f", about {of_walk.more_pairs:,} to come"
            return StepGate("wait", f"{text}{more}")
        if percent >= _ALL:
            return StepGate("go on", text)
        if of_step.pairs < self._settings.min_pairs:
            of = self._settings.min_pairs
            return StepGate("wait", f"{text}; {of_step.pairs} of {of} pairs of this step")
        if of_step.difference_points <= -self._margin:
            return StepGate("wait", f"{of_step.difference_points:+g} points in this step")
        return StepGate("go on", text)


def _scored(pairs: Sequence[CapturedExchange], scores: Mapping[str, PairScore]) -> list[ScoredPair]:
    found = (scores.get(pair.id) for pair in pairs)
    return [ScoredPair(each.reference, each.response) for each in found if each and each.scored]


def _is_models(exchange: CapturedExchange) -> bool:
    """Whether the request was the model's to answer."""
    return exchange.reason == _CANARY or _is_failed(exchange)


def _is_failed(exchange: CapturedExchange) -> bool:
    return exchange.reason == _FAILED or _ended_at_the_model(exchange, _DEADLINE)


def _is_left(exchange: CapturedExchange) -> bool:
    return exchange.reason == _LEFT


def _left_the_model(exchange: CapturedExchange) -> bool:
    return _ended_at_the_model(exchange, _LEFT)


def _ended_at_the_model(exchange: CapturedExchange, reason: str) -> bool:
    """Whether time ran out before the model answered, and the service had not been asked."""
    return exchange.reason == reason and exchange.service is None and exchange.model is None


def _left_the_service(exchange: CapturedExchange) -> bool:
    return _is_left(exchange) and exchange.service is not None


def _are(found: Sequence[bool]) -> Bounded:
    """Return outcomes from -1 to 1, on which bets on rare ones pay most."""
    return Bounded(2.0 * each - 1 for each in found)


def _quantile(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.floor(_QUANTILE * len(ordered)))]
