"""Dollars of machines, from the dated table."""

import itertools
import math
import re
from pathlib import Path

import pytest

from pipeline import estimate
from pipeline.vertex import prices
from pipeline.vertex.machines import MACHINES
from pipeline.vertex.prices import describe_machine_cost, machine_cost, machine_of, price_of
from tests.pipeline.vertex.compiled_job import compile_preset
from tests.pipeline.vertex.conftest import vertex_config

TIMES = "\N{MULTIPLICATION SIGN}"
GUIDE = Path(__file__).parents[3] / "docs/vertex.md"


def test_a_round_pays_for_every_task_with_its_start():
    config = vertex_config("vertex", "evaluator.baselines=[base, few_shot, service]")
    first = machine_cost(config, is_first=True)
    assert (first.machine, first.accelerated_minutes) == ("g2-standard-8", 20 + 3 * 5 + 4 * 4)
    by_hand = 51 / 60 * 0.98 + 8 * 4 / 60 * 0.15 + 10 / 60 * (8 * 0.025 + 32 * 0.0034)
    assert first.usd == pytest.approx(by_hand)
    later = machine_cost(config, is_first=False)
    assert later.accelerated_minutes == 20 + 5 + 2 * 4
    by_hand_later = 33 / 60 * 0.98 + 6 * 4 / 60 * 0.15 + 10 / 60 * (8 * 0.025 + 32 * 0.0034)
    assert later.usd == pytest.approx(by_hand_later)
    told = describe_machine_cost(config)
    assert f"about {by_hand:.2f} USD for round 1 (51 minutes of g2-standard-8)" in told
    assert f"{later.usd:.2f} for each later one" in told


@pytest.mark.parametrize(
    ("overrides", "machine"),
    [
        (("vertex.cpu_limit=9",), "g2-standard-12"),
        (("vertex.accelerator_count=2",), "g2-standard-24"),
        (("vertex.spot_machine_type=g2-standard-16",), "g2-standard-16"),
        (("vertex.accelerator_type=null",), "a machine with 8 CPUs and 32 GiB"),
    ],
)
def test_the_machine_is_the_smallest_that_has_what_is_asked_for(overrides, machine):
    config = vertex_config("vertex", *overrides)
    assert machine_of(config.vertex_settings) == machine
    assert machine_cost(config, is_first=True).usd > 0


def test_without_an_accelerator_the_limits_are_named_and_paid_for():
    config = vertex_config("vertex", "vertex.accelerator_type=null", "vertex.cpu_limit=16")
    told = describe_machine_cost(config)
    assert "minutes of a machine with 16 CPUs and 32 GiB" in told
    assert "CPUs take many times as long" in told
    assert price_of(config.vertex_settings) == pytest.approx(16 * 0.025 + 32 * 0.0034)
    small = vertex_config("vertex", "vertex.accelerator_type=null", "vertex.cpu_limit=8")
    assert machine_cost(config, is_first=True).usd > machine_cost(small, is_first=True).usd


def test_what_the_table_does_not_count_is_told():
    plain = describe_machine_cost(vertex_config())
    assert plain.endswith("assumed minutes.")
    config = vertex_config(
        "vertex",
        "vertex.spot_machine_type=g2-standard-8",
        "vertex.dataflow_image=gcr.io/team/pipeline:1-dataflow",
    )
    told = describe_machine_cost(config)
    assert told.endswith(
        "assumed minutes; spot machines cost less, and the containers that wait for them are "
        "counted; Dataflow's machines come on top."
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_the_containers_that_wait_for_spot_machines_are_paid_for(is_first):
    ordinary = machine_cost(vertex_config(), is_first=is_first)
    config = vertex_config("vertex", "vertex.spot_machine_type=g2-standard-8")
    spot = machine_cost(config, is_first=is_first)
    assert spot.usd - ordinary.usd == pytest.approx(spot.accelerated_minutes / 60 * 0.15)


def test_a_machine_without_a_price_is_named_and_not_guessed():
    config = vertex_config(
        "vertex", "vertex.accelerator_type=NVIDIA_B200", "vertex.accelerator_count=8"
    )
    assert machine_cost(config, is_first=True).usd is None
    assert "has no a4-highgpu-8g" in describe_machine_cost(config)


def test_machines_that_are_several_of_another_cost_several_times_as_much():
    """Google's price list is linear in CPUs, memory and accelerators."""
    price = prices._USD_PER_HOUR
    for many, one, times in (
        ("g2-standard-24", "g2-standard-12", 2),
        ("g2-standard-48", "g2-standard-12", 4),
        ("g2-standard-96", "g2-standard-12", 8),
        ("a2-highgpu-8g", "a2-highgpu-1g", 8),
        ("a2-ultragpu-8g", "a2-ultragpu-1g", 8),
    ):
        assert price[many] == pytest.approx(times * price[one], abs=0.005 * times), many
    steps = [price[f"g2-standard-{n}"] for n in (4, 8, 12, 16)]
    for before, after in itertools.pairwise(steps):
        assert after - before == pytest.approx(0.17, abs=0.01)


def test_every_price_is_of_a_machine_that_exists():
    assert set(prices._USD_PER_HOUR) - {"e2-standard-4"} <= set(MACHINES)


def test_the_estimate_prints_machines_beside_tokens(monkeypatch):
    monkeypatch.setattr(estimate, "_machine_text", lambda *arguments: "on this machine")
    told = " ".join(estimate.estimate_text(vertex_config()).split())
    assert "cost (USD)" in told
    assert "Machines on Vertex AI: about" in told
    assert "minutes of g2-standard-8" in told
    assert prices.DATE in told, "prices have a date"


def _computed(text):
    """The value of a sum of products of numbers and of fractions, as the guide writes it."""

    def number(text):
        numerator, _, denominator = text.partition("/")
        return float(numerator) / float(denominator or 1)

    return sum(math.prod(map(number, part.split(TIMES))) for part in text.split("+"))


def test_the_costs_of_the_guide_are_those_of_the_estimate():
    guide = " ".join(GUIDE.read_text(encoding="utf-8").split())
    first = machine_cost(vertex_config(), is_first=True)
    minutes, dollars = re.findall(rf"`([\d ./+{TIMES}]*{TIMES}[\d ./+{TIMES}]*)(?: = \d+)?`", guide)
    assert _computed(minutes) == first.accelerated_minutes
    assert f"{minutes} = {first.accelerated_minutes}` GPU minutes" in guide
    assert _computed(dollars) == pytest.approx(first.usd, abs=0.005)
    assert f"`{dollars}` is about {first.usd:.2f} USD" in guide
    spot = machine_cost(
        vertex_config("vertex", "vertex.spot_machine_type=g2-standard-8"), is_first=True
    )
    assert f"add {spot.usd - first.usd:.2f} USD" in guide


def test_the_tasks_of_the_guide_are_those_of_the_job():
    guide = " ".join(GUIDE.read_text(encoding="utf-8").split())
    tasks = set(compile_preset()["pipelineSpec"]["root"]["dag"]["tasks"])
    count, on_cpu, accelerated = re.search(
        r"A round has (\d+) tasks with the default baselines: \w+ on e2-standard-4 \((.+?)\), "
        r"Exporter on .+? accelerator: (.+?)\.",
        guide,
    ).groups()
    assert int(count) == len(tasks)
    assert len(on_cpu.split(", ")) == prices._CPU_TASKS
    assert {*on_cpu.split(", "), "Exporter", *re.split(r", | and ", accelerated)} == tasks
