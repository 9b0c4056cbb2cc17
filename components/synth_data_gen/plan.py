"""Plans requests: which seeds are shown, and which attributes each new prompt gets.

A plan is a pure function of its arguments: the same seed, round and batch give the same plan on
every machine, and another round or batch gives another plan.
"""

import dataclasses
import functools
import heapq
import random
from collections.abc import Iterator, Mapping, Sequence

from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from core.example_budget import examples_shown

_EDGE_CASE = "edge_case"


@dataclasses.dataclass(frozen=True)
class WantedPrompt:
    """One prompt to be written.

    Attributes:
        like_seed: Id of the shown seed whose kind of request it shares.
        attributes: Value by attribute name.
    """

    like_seed: str
    attributes: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class PlannedRequest:
    """One request for several prompts.

    Attributes:
        number: Position in its batch, from 0.
        seed_ids: The seeds shown as demonstrations, all different.
        wanted: The prompts to be written, in order.
    """

    number: int
    seed_ids: tuple[str, ...]
    wanted: tuple[WantedPrompt, ...]


def make_plan(
    weights: Mapping[str, float],
    attributes: AttributeSets,
    settings: SynthSettings,
    *,
    round: int,
    batch: int,
    prompts: int,
    tokens: Mapping[str, int] | None = None,
) -> list[PlannedRequest]:
    """Plan the requests for a number of prompts.

    Args:
        weights: Positive weight by seed id: how often it is shown, relative to the others.
        attributes: The values to draw from.
        settings: Sizes of a request, and the seed number.
        round: The round, from 1.
        batch: Number of the batch within the round; refills are later batches.
        prompts: How many prompts the plan asks for.
        tokens: Length of each seed by its id, for the budget of a request; None without a budget.

    Returns:
        Requests that together want exactly `prompts` prompts.
    """
    rng = random.Random(f"{settings.seed}/{round}/{batch}")
    shown = examples_shown(settings.examples_per_request, len(weights))
    lengths = tokens or {}
    turns = functools.partial(
        _weighted_turns, rng=rng, tokens=lengths, budget=settings.max_example_tokens
    )
    always = _shown_always(weights, shown, lengths, settings.max_example_tokens)
    demonstrations = turns(weights, shown)
    likes = turns(weights, 1)
    draws = _attribute_draws(attributes, settings.edge_case_fraction, rng)
    plan = []
    for number, start in enumerate(range(0, prompts, settings.prompts_per_request)):
        count = min(settings.prompts_per_request, prompts - start)
        seed_ids = always or next(demonstrations)
        wanted = tuple(
            WantedPrompt(
                next(likes)[0] if always else seed_ids[position % len(seed_ids)], next(draws)
            )
            for position in range(count)
        )
        plan.append(PlannedRequest(number, seed_ids, wanted))
    return plan


def _shown_always(
    weights: Mapping[str, float], shown: int, lengths: Mapping[str, int], budget: int
) -> tuple[str, ...]:
    """Return all seeds in one order where every request shows them; else none."""
    fits = sum(lengths.get(seed_id, 0) for seed_id in weights) <= budget
    return tuple(sorted(weights)) if shown == len(weights) and fits else ()


def _weighted_turns(
    weights: Mapping[str, float],
    shown: int,
    rng: random.Random,
    tokens: Mapping[str, int],
    budget: int,
) -> Iterator[tuple[str, ...]]:
    """Yield groups of different seeds in which each takes its turn in proportion to its weight.

    A seed for which a group has no room keeps its turn for the next one.

    Stride scheduling (Waldspurger 1995): unlike independent draws, no seed waits much longer than
    its weight says, so every seed is used before an equal one is used twice.
    """
    queue = [(rng.random() / weight, seed_id) for seed_id, weight in sorted(weights.items())]
    heapq.heapify(queue)
    while True:
        turn: list[tuple[float, str]] = []
        passed_over: list[tuple[float, str]] = []
        left = budget
        while queue and len(turn) < shown and len(passed_over) < shown:
            entry = heapq.heappop(queue)
            length = tokens.get(entry[1], 0)
            if turn and length > left:
                passed_over.append(entry)
                continue
            turn.append(entry)
            left -= length
        for entry in passed_over:
            heapq.heappush(queue, entry)
        for time, seed_id in turn:
            heapq.heappush(queue, (time + 1 / weights[seed_id], seed_id))
        group = [seed_id for _, seed_id in turn]
        rng.shuffle(group)
        yield tuple(group)


def _attribute_draws(
    attributes: AttributeSets, edge_case_fraction: float, rng: random.Random
) -> Iterator[dict[str, str]]:
    cycles = {name: _shuffled_cycle(values, rng) for name, values in attributes if len(values) > 0}
    while True:
        drawn = {name: next(cycle) for name, cycle in cycles.items() if name != _EDGE_CASE}
        if _EDGE_CASE in cycles and rng.random() < edge_case_fraction:
            drawn[_EDGE_CASE] = next(cycles[_EDGE_CASE])
        yield drawn


def _shuffled_cycle(values: Sequence[str], rng: random.Random) -> Iterator[str]:
    while True:
        deck = list(values)
        rng.shuffle(deck)
        yield from deck
