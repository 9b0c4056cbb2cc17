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
from serving.gateway.reasons import Reason
from serving.mode_settings import CutoverSettings

_QUANTILE = 0.95
_CANARY = "canary"
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
        failed = [_is_failed(each) for each in step if _is_answered(each) or _is_failed(each)]
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
        """Compare how many callers wait in vain: some do at the service, too."""
        own = [_is_in_vain(each) for each in step if _is_models(each)]
        others = [_is_in_vain(each) for each in walk if _is_services(each)]
        usual = (_are(others).high(self._step_alpha / 2) + 1) / 2
        most = min(1.0, usual + self._settings.max_error_percent / 100)
        text = f"{sum(own)} of {len(own)} callers waited in vain where the model was asked"
        if _are(own).is_above(2 * most - 1, self._step_alpha / 2):
            return StepGate("go back", f"{text}, {sum(others)} of {len(others)} at the service")
        return StepGate("go on", text)

    def _latency(
        self, step: Sequence[CapturedExchange], answered: Sequence[CapturedExchange]
    ) -> StepGate:
        own = [each.model.milliseconds for each in step if _is_answered(each) and each.model]
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
        unscored = _unscored(pairs, scores)
        for name, found in (("this step", of_step), ("the whole walk", of_walk)):
            if found.state == WORSE:
                return StepGate(
                    "go back",
                    f"worse: {found.difference_points:+g} points ({found.low_points:+g} to "
                    f"{found.high_points:+g}) over the {found.pairs} pairs of {name}{unscored}",
                )
        text = f"{of_walk.state}: {of_walk.difference_points:+g} points over {of_walk.pairs} pairs"
        text += unscored
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
    return [ScoredPair(each.reference, each.response) for each in found if each]


def _unscored(pairs: Sequence[CapturedExchange], scores: Mapping[str, PairScore]) -> str:
    """Say of how many pairs nothing is known; empty where all are scored."""
    count = sum(pair.id in scores and not scores[pair.id].scored for pair in pairs)
    if not count:
        return ""
    return f" ({count:,} pairs of the walk could not be scored and count as not covered)"


def _is_answered(exchange: CapturedExchange) -> bool:
    """Whether the model answered a request that was its to answer."""
    return exchange.reason == _CANARY


def _is_models(exchange: CapturedExchange) -> bool:
    """Whether the request was the model's to answer, and the model was asked."""
    return _is_answered(exchange) or bool(Reason.of(exchange.reason).model)


def _is_failed(exchange: CapturedExchange) -> bool:
    """Whether the model failed, whatever became of the request then.

    Where nobody answered within the caller's patience, that may be the caller's or the service's
    doing: it is compared with what happens at the service.
    """
    reason = Reason.of(exchange.reason)
    return bool(reason.model) and not reason.is_by_caller


def _is_in_vain(exchange: CapturedExchange) -> bool:
    """Whether the caller left, or its deadline passed, before there was an answer."""
    return Reason.of(exchange.reason).is_by_caller


def _is_services(exchange: CapturedExchange) -> bool:
    """Whether the request was the service's alone, and it answered or was waited for in vain."""
    is_waited_for = _is_in_vain(exchange) and exchange.service is not None
    return not _is_models(exchange) and (is_healthy(exchange) or is_waited_for)


def _are(found: Sequence[bool]) -> Bounded:
    """Return outcomes from -1 to 1, on which bets on rare ones pay most."""
    return Bounded(2.0 * each - 1 for each in found)


def _quantile(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.floor(_QUANTILE * len(ordered)))]
