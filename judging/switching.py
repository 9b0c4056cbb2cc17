"""Decides from pairs of answers whether a model may take a service's place, at any time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.reports.switch import NOT_YET, SAFE, WORSE, SwitchDecision, SwitchState
from judging.anytime import ALPHA, Bounded
from judging.rates import percent


class ScoredPair(NamedTuple):
    """One request that the service and the model both answered.

    Attributes:
        service: Score of the service's answer, 0 to 1.
        model: Score of the model's answer, 0 to 1.
        tags: Of the request.
    """

    service: float
    model: float
    tags: tuple[str, ...] = ()


def decide(
    pairs: Sequence[ScoredPair], margin_points: float, alpha: float = ALPHA
) -> SwitchDecision:
    """Decide whether the model is worse than the service by less than a margin, or by more.

    It may be asked after every pair and acted upon at once: over all looks together a wrong
    verdict has a probability of at most `alpha`.

    Args:
        pairs: All pairs so far; requests of one kind of traffic, with no choice that depends on
            their answers.
        margin_points: By how much the model may be worse, in percentage points.
        alpha: Probability of a wrong verdict.

    Raises:
        ValueError: A score is not between 0 and 1.
    """
    differences = Bounded(pair.model - pair.service for pair in pairs)
    margin, each_side = margin_points / 100, alpha / 2
    state: SwitchState = NOT_YET
    if differences.is_above(-margin, each_side):
        state = SAFE
    elif differences.is_below(-margin, each_side):
        state = WORSE
    interval = differences.interval(alpha)
    count = len(pairs) or 1
    return SwitchDecision(
        state=state,
        pairs=len(pairs),
        gained=sum(pair.model > pair.service for pair in pairs),
        lost=sum(pair.model < pair.service for pair in pairs),
        service_percent=percent(sum(pair.service for pair in pairs) / count),
        model_percent=percent(sum(pair.model for pair in pairs) / count),
        difference_points=percent(differences.mean),
        low_points=percent(interval.low),
        high_points=percent(interval.high),
        more_pairs=differences.more_until_decided(-margin, each_side),
    )


def decide_by_tag(
    pairs: Sequence[ScoredPair],
    margin_points: float,
    alpha: float = ALPHA,
    *,
    tag_count: int | None = None,
) -> Mapping[str, SwitchDecision]:
    """Decide for each tag; over all tags and looks a wrong verdict has a probability of `alpha`.

    Args:
        pairs: See `decide`; a pair counts for each of its tags.
        margin_points: Likewise.
        alpha: Of all tags together.
        tag_count: How many tags there can be; None for those that the pairs have, which must not
            grow with them.
    """
    by_tag: dict[str, list[ScoredPair]] = defaultdict(list)
    for pair in pairs:
        for tag in pair.tags:
            by_tag[tag].append(pair)
    shared = alpha / max(1, tag_count or len(by_tag))  # Bonferroni's correction
    return {tag: decide(by_tag[tag], margin_points, shared) for tag in sorted(by_tag)}
