"""Finds real requests unlike the coverage dataset, and candidates for its rows."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from core.candidates import CandidateRow
from core.captured import CapturedExchange
from core.reports.switch import TrafficCluster, UnlikeTraffic
from judging.rates import percent
from serving.cutover.nearest import CoverageMap
from serving.cutover.pairs import is_healthy, prompt_of, user_text_of
from task.coverage.known import KnownPrompts
from task.normalization import normalize
from task.similarity import similarity_matrix

_DAYS = 7
_MAX_TEXTS = 1500  # evenly spread over the week; all of them are compared with each other
_MAX_CLUSTERS = 12
_EXAMPLES = 3
_MAX_CANDIDATES = 200


def unlike_traffic(exchanges: Sequence[CapturedExchange], coverage: CoverageMap) -> UnlikeTraffic:
    """Find the requests of the last week that are like no coverage prompt, and cluster them.

    Args:
        exchanges: The task's captured exchanges, the oldest first; at least one.
        coverage: The coverage dataset.
    """
    newest = datetime.datetime.fromisoformat(exchanges[-1].time)
    since = (newest - datetime.timedelta(days=_DAYS)).isoformat()
    week = [each for each in exchanges if each.time >= since]
    nearest = coverage.nearest([user_text_of(each) for each in week])
    unlike = [each for each, found in zip(week, nearest, strict=True) if not found.is_near]
    sample = _evenly(unlike, _MAX_TEXTS)
    clusters = _clusters(sample, coverage.min_similarity)
    stand_for = len(unlike) / (len(sample) or 1)  # requests that each of the sample stands for
    return UnlikeTraffic(
        since=week[0].time,
        requests=len(week),
        unlike=len(unlike),
        unlike_percent=percent(len(unlike) / len(week)),
        clustered=len(sample),
        clusters=tuple(
            TrafficCluster(
                requests=round(len(members) * stand_for),
                percent=percent(len(members) * stand_for / len(week)),
                examples=tuple(prompt_of(each) for each in members[:_EXAMPLES]),
                # A candidate needs the service's answer, which a request of the model has not.
                ids=tuple(each.id for each in members if is_healthy(each))[:_EXAMPLES],
            )
            for members in clusters[:_MAX_CLUSTERS]
        ),
    )


def candidates(
    exchanges: Sequence[CapturedExchange],
    uncovered: Mapping[str, tuple[str, ...]],
    unlike: UnlikeTraffic,
    known: KnownPrompts,
) -> list[CandidateRow]:
    """Return the requests that a person should look at, each prompt once.

    Args:
        exchanges: The task's captured exchanges.
        uncovered: Tags of the requests that the model did not cover, the newest first, by the
            exchange's id.
        unlike: Clusters of requests that are like no coverage prompt; the most typical of each
            that the service answered.
        known: The prompts of the coverage dataset.
    """
    by_id = {exchange.id: exchange for exchange in exchanges if is_healthy(exchange)}
    missed = _once(
        _candidate(by_id[each], tags, "not covered")
        for each, tags in uncovered.items()
        if each in by_id
    )
    # However many there are of the others, the clusters stay.
    missed = known.new_seeds(missed)[: _MAX_CANDIDATES - _MAX_CLUSTERS]
    typical = (each for cluster in unlike.clusters for each in cluster.ids[:1])
    others = (_candidate(by_id[each], (), "unlike") for each in typical if each in by_id)
    return _once([*missed, *known.new_seeds(list(others))])


def _candidate(
    exchange: CapturedExchange, tags: tuple[str, ...], why: Literal["not covered", "unlike"]
) -> CandidateRow:
    text = (exchange.service.text if exchange.service else None) or ""
    return CandidateRow(_id(exchange.id), prompt_of(exchange), text, tags, why)


def _once(rows: Iterable[CandidateRow]) -> list[CandidateRow]:
    """Return the rows that have a text and an answer, the first of each prompt."""
    once: dict[str, CandidateRow] = {}
    for row in rows:
        if row.output.strip() and row.prompt.strip():
            once.setdefault(normalize(row.prompt), row)
    return list(once.values())


def _evenly(exchanges: Sequence[CapturedExchange], count: int) -> Sequence[CapturedExchange]:
    """Return at most that many, evenly spread over all of them."""
    if len(exchanges) <= count:
        return exchanges
    return [exchanges[at * len(exchanges) // count] for at in range(count)]


def _clusters(exchanges: Sequence[CapturedExchange], least: float) -> list[list[CapturedExchange]]:
    """Group what is alike, the largest group first, its most typical member first in it."""
    if not exchanges:
        return []
    texts = [user_text_of(each) for each in exchanges]
    similarity = similarity_matrix(texts, texts)
    is_alike = similarity >= max(least, 1e-9)
    is_left = np.ones(len(texts), dtype=bool)
    groups: list[list[CapturedExchange]] = []
    while is_left.any():
        alike = (is_alike & is_left).sum(axis=1) * is_left
        center = int(alike.argmax())
        members = np.flatnonzero((is_alike[center] & is_left) | (np.arange(len(texts)) == center))
        members = members[np.argsort(-similarity[center][members], kind="stable")]
        groups.append([exchanges[int(member)] for member in members])
        is_left[members] = False
    return sorted(groups, key=len, reverse=True)


def _id(exchange_id: str) -> str:
    return f"traffic-{exchange_id[:12]}"
