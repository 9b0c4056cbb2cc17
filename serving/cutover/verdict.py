"""The verdict on the pairs of shadow mode: `understudy verdict`."""

import datetime
import functools
from collections import Counter
from collections.abc import Sequence

from core.candidates import CandidateRow
from core.captured import CapturedExchange, CapturedModel
from core.records import CoverageRow
from core.reports.switch import (
    MAKE_PAIRS,
    NO_PAIRS,
    NOT_YET,
    SAFE,
    WORSE,
    DifferingPair,
    SwitchCost,
    SwitchDecision,
    SwitchReport,
)
from judging.pairs import PairScore
from judging.switching import ScoredPair, decide, decide_by_tag
from service_llm.cost import cost_usd, price_of
from serving.cutover.nearest import CoverageMap
from serving.cutover.pairs import (
    is_missed,
    is_pair,
    judged_pair,
    newest_version,
    of_version,
    prompt_of,
    read_exchanges,
    user_text_of,
    version_of,
)
from serving.cutover.scoring import PairScorer
from serving.cutover.traffic import candidates, unlike_traffic
from serving.preset import ServedPreset
from task.coverage.known import KnownPrompts

NO_TAG = "like no coverage prompt"
_THOUSAND = 1000
_SHOWN_TAGS = 12


def make_verdict(
    preset: ServedPreset, scorer: PairScorer, served: str | None = None
) -> SwitchReport:
    """Judge the pairs so far, and decide; without any, there is still the traffic to be shown.

    Args:
        preset: With the margin, and where its exchanges are captured.
        scorer: Scores both answers of a pair.
        served: The `model_version` that the gateway serves now; None for the newest that answered.

    Raises:
        UserError: There is no exchange, or the judge fails.
    """
    exchanges = read_exchanges(preset)
    pairs = [exchange for exchange in exchanges if is_pair(exchange)]
    # Not of the pairs alone: those of a model before say nothing of one that has none yet.
    models = (each.model for each in reversed(exchanges) if each.model)
    newest = next((each for each in models if served in (None, each.model_version)), None)
    of_model = [pair for pair in pairs if newest and _model(pair).identity == newest.identity]
    own = of_version(of_model, newest_version(of_model))
    scores = scorer.score([judged_pair(exchange) for exchange in own]) if own else []
    tags = _tags(preset, own)
    scored = [
        ScoredPair(score.reference, score.response, tag)
        for score, tag in zip(scores, tags, strict=True)
    ]
    margin = preset.settings.margin_points
    known = {tag for row in preset.sent_coverage for tag in row.tags} | {NO_TAG}
    overall = decide(scored, margin) if own else None
    return SwitchReport(
        task=preset.task.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        round=newest and newest.round,
        model_version=newest.model_version if newest else served,
        since=own[0].time if own else "",
        margin_points=margin,
        scorer=scorer.name,
        overall=overall,
        shadow_percent=preset.settings.shadow.percent,
        tags=decide_by_tag(scored, margin, tag_count=len(known)),
        unscored=sum(not score.scored for score in scores),
        other_rounds=len(pairs) - len(of_model),
        other_versions=Counter(map(version_of, of_model)) - Counter(map(version_of, own)),
        service_versions=Counter(map(version_of, own)),
        cost=_cost(preset, scorer, own, overall),
        traffic=unlike_traffic(exchanges, _map(preset.sent_coverage)),
        differing=tuple(_differing(own, scores, tags)),
        uncovered=_uncovered(preset, exchanges, own, scores, newest),
    )


def make_candidates(preset: ServedPreset, report: SwitchReport) -> list[CandidateRow]:
    """Return the requests that may become coverage rows; `understudy label` asks a person.

    Raises:
        UserError: The captured exchanges cannot be read.
    """
    known = KnownPrompts(preset.sent_coverage)
    return candidates(read_exchanges(preset), report.uncovered, report.traffic, known)


def verdict_text(report: SwitchReport) -> str:
    """Return the verdict for the terminal."""
    found = report.overall
    if found is None:
        no_verdict = f"{report.task}: {NO_PAIRS} {MAKE_PAIRS}"
        return "\n".join([no_verdict, *_left_out(report), *_unlike(report)])
    lines = [
        f"{report.task}, round {report.round}: {found.state}.",
        f"  Of {found.pairs:,} requests since {report.since} the service answers "
        f"{found.service_percent:g} % correctly, the model {found.model_percent:g} %: "
        f"{found.difference_points:+g} points ({found.low_points:+g} to {found.high_points:+g}; "
        f"margin {report.margin_points:g}).",
        f"  The model's answer is better {found.gained} times, worse {found.lost} times.",
    ]
    if found.state == NOT_YET:
        to_come = report.more_requests
        more = "more than ten million" if to_come is None else f"{to_come:,}"
        lines.append(f"  About {more} more requests decide it, if they are like these.")
    if report.unscored:
        lines.append(
            f"  {report.unscored:,} of the pairs could not be scored and count as not covered."
        )
    lines += [*_left_out(report), f"  {_cost_text(report.cost, found)}", *_unlike(report)]
    decided = [item for item in report.tags.items() if item[1].state != NOT_YET]
    shown = sorted(decided, key=lambda item: _order(item[1]))
    lines += [
        f"  {tag}: {part.state} ({part.difference_points:+g} points, {part.low_points:+g} to "
        f"{part.high_points:+g}; {part.pairs:,} requests)"
        for tag, part in shown[:_SHOWN_TAGS]
    ]
    if undecided := len(report.tags) - len(decided):
        lines.append(f"  {undecided} tags are undecided.")
    return "\n".join(lines)


def _left_out(report: SwitchReport) -> list[str]:
    """Say which pairs are left out."""
    lines = []
    if report.other_rounds:
        lines.append(f"  {report.other_rounds:,} pairs with other tuned models are left out.")
    if report.other_versions:
        versions = ", ".join(f"{name} ({n:,})" for name, n in report.other_versions.items())
        now = ", ".join(report.service_versions)
        lines.append(f"  The service answers with {now}; its pairs with {versions} are left out.")
    return lines


def _unlike(report: SwitchReport) -> list[str]:
    """Say how much of the traffic the coverage dataset does not know."""
    if not report.traffic.unlike:
        return []
    return [
        f"  {report.traffic.unlike_percent:g} % of the last week's requests are like none of "
        "your coverage prompts."
    ]


def _order(part: SwitchDecision) -> tuple[int, int]:
    return (WORSE, SAFE, NOT_YET).index(part.state), -part.pairs


def _cost_text(cost: SwitchCost, found: SwitchDecision) -> str:
    if cost.judged_usd is None:
        return "What the judge costs is unknown: set its price (service_llm.price)."
    text = f"The judge has cost ${cost.judged_usd:,.2f}"
    if found.state == NOT_YET and cost.judge_to_come_usd is not None:
        text += f", and will cost about ${cost.judge_to_come_usd:,.2f} more"
    if cost.service_per_thousand_usd is not None:
        text += (
            f"; the service charges ${cost.service_per_thousand_usd:,.2f} for 1,000 such requests"
        )
    return f"{text}."


def _cost(
    preset: ServedPreset,
    scorer: PairScorer,
    pairs: Sequence[CapturedExchange],
    overall: SwitchDecision | None,
) -> SwitchCost:
    of_pairs, to_come = scorer.pairs_cost_usd, None
    if of_pairs is not None and overall and overall.more_pairs is not None:
        to_come = of_pairs / len(pairs) * overall.more_pairs
    return SwitchCost(
        judged_usd=scorer.used().cost_usd,
        judge_to_come_usd=to_come,
        service_per_thousand_usd=_per_thousand(preset, pairs),
    )


def _per_thousand(preset: ServedPreset, pairs: Sequence[CapturedExchange]) -> float | None:
    service = preset.settings.service
    price = price_of(service) if service else None
    usages = [each.service.usage for each in pairs if each.service and each.service.usage]
    if price is None or not usages:
        return None
    prompt = sum(usage.prompt_tokens or 0 for usage in usages)
    output = sum(usage.output_tokens or 0 for usage in usages)
    cost = cost_usd(price, prompt, output)
    return None if cost is None else cost / len(usages) * _THOUSAND


def _tags(preset: ServedPreset, pairs: Sequence[CapturedExchange]) -> list[tuple[str, ...]]:
    """Return the tags of the coverage prompt that each request is most like."""
    nearest = _map(preset.sent_coverage).nearest([user_text_of(exchange) for exchange in pairs])
    return [each.row.tags if each.row and each.is_near else (NO_TAG,) for each in nearest]


@functools.lru_cache(maxsize=4)
def _map(coverage: tuple[CoverageRow, ...]) -> CoverageMap:
    return CoverageMap(coverage)


def _differing(
    pairs: Sequence[CapturedExchange],
    scores: Sequence[PairScore],
    tags: Sequence[tuple[str, ...]],
) -> list[DifferingPair]:
    found = []
    for exchange, score, own in zip(pairs, scores, tags, strict=True):
        if score.reference == score.response:
            continue
        service, model = exchange.service, _model(exchange)
        assert service is not None
        found.append(
            DifferingPair(
                id=exchange.id,
                time=exchange.time,
                prompt=prompt_of(exchange),
                service=service.text or "",
                model=model.text,
                better="model" if score.response > score.reference else "service",
                confidence=model.confidence,
                tags=own,
                reason=score.reason,
            )
        )
    return found[::-1]


def _uncovered(
    preset: ServedPreset,
    exchanges: Sequence[CapturedExchange],
    pairs: Sequence[CapturedExchange],
    scores: Sequence[PairScore],
    model: CapturedModel | None,
) -> dict[str, tuple[str, ...]]:
    """Return the tags of what a model did not cover, failed at or was unsure of, by id."""
    judged = zip(pairs, scores, strict=True)
    ids = {pair.id for pair, score in judged if score.scored and not score.covered}
    found = [each for each in exchanges[::-1] if each.id in ids or is_missed(each, model)]
    tags = _tags(preset, found)
    return {exchange.id: own for exchange, own in zip(found, tags, strict=True)}


def _model(exchange: CapturedExchange) -> CapturedModel:
    assert exchange.model is not None
    return exchange.model
