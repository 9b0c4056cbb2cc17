"""What the machines of one round on Vertex AI cost, from a dated table and assumed minutes.

Rounded list prices in us-central1, in USD an hour: those of Compute Engine and Vertex AI's fee of
15 %. The rows g2-standard-12 (1.15069), a2-highgpu-1g (4.2244949) and a2-ultragpu-1g (5.7818474)
are those of https://cloud.google.com/vertex-ai/pricing as public repositories quoted it in 2026-09
and 2026-10; rows of several such machines are multiples. The other G2 and the E2 are computed from
the prices of a CPU (0.024988; E2 0.02181), a GiB (0.002927; E2 0.002924) and an L4 (0.56004), of
which no page was at hand; their sum for g2-standard-12 is within 0.03 % of the page's. Machines
without a source (A3, A4, G4, n1 with an accelerator) are left out. Other regions differ by some
10 %, spot machines cost a fraction, and `status` shows the minutes that tasks really take.
"""

from typing import NamedTuple

from pipeline.config import Config
from pipeline.vertex.machines import MACHINES
from pipeline.vertex.settings import VertexSettings

DATE = "2026-10"
CPU_MACHINE = "e2-standard-4"  # of a task that asks for nothing
_USD_PER_HOUR = {
    CPU_MACHINE: 0.15,
    "g2-standard-4": 0.81,
    "g2-standard-8": 0.98,
    "g2-standard-12": 1.15,
    "g2-standard-16": 1.32,
    "g2-standard-24": 2.30,
    "g2-standard-32": 1.99,
    "g2-standard-48": 4.60,
    "g2-standard-96": 9.21,
    "a2-highgpu-1g": 4.22,
    "a2-highgpu-2g": 8.45,
    "a2-highgpu-4g": 16.90,
    "a2-highgpu-8g": 33.80,
    "a2-ultragpu-1g": 5.78,
    "a2-ultragpu-2g": 11.56,
    "a2-ultragpu-4g": 23.13,
    "a2-ultragpu-8g": 46.25,
}
_CPU_HOUR, _GIB_HOUR = 0.025, 0.0034  # of an e2 with other limits

# Minutes assumed of Gemma 3 1B with some thousand rows; the first ones of a GPU task are for its
# machine, the image with CUDA and the model.
_TRAINING_MINUTES, _GENERATION_MINUTES, _EXPORT_MINUTES = 20, 5, 10
_GPU_START_MINUTES, _CPU_TASK_MINUTES = 4, 4
_CPU_TASKS = 8
_CACHED_CPU_TASKS = 2  # CoverageExampleGen and SchemaGen, from the second round on
_GENERATED_BASELINES = ("base", "few_shot")


class MachineCost(NamedTuple):
    """What the machines of one round cost.

    Attributes:
        usd: None where the table has no price.
        machine: Type of the machine of training and generation.
        accelerated_minutes: Minutes that it is paid for.
    """

    usd: float | None
    machine: str
    accelerated_minutes: int


def machine_cost(config: Config, *, is_first: bool) -> MachineCost:
    """Return what the machines of a round cost.

    Args:
        config: The configuration; its `vertex` section must be set.
        is_first: Whether it is the first round, in which the baselines answer too.
    """
    vertex = config.vertex_settings
    baselines = sum(name in config.evaluator.baselines for name in _GENERATED_BASELINES)
    generations = 1 + (baselines if is_first else 0)
    minutes = (
        _TRAINING_MINUTES
        + generations * _GENERATION_MINUTES
        + (1 + generations) * _GPU_START_MINUTES
    )
    exported = _EXPORT_MINUTES * (
        vertex.cpu_limit * _CPU_HOUR + vertex.memory_limit_gib * _GIB_HOUR
    )
    cpu_tasks = _CPU_TASKS - (0 if is_first else _CACHED_CPU_TASKS)
    others = cpu_tasks * _CPU_TASK_MINUTES * _USD_PER_HOUR[CPU_MACHINE]
    price = price_of(vertex)
    # Each spot task has a container on a machine of its own, which waits for the custom job.
    waiting = minutes * _USD_PER_HOUR[CPU_MACHINE] if vertex.spot_machine_type else 0.0
    usd = None if price is None else (minutes * price + others + exported + waiting) / 60
    return MachineCost(usd, machine_of(vertex), minutes)


def price_of(vertex: VertexSettings) -> float | None:
    """Return the list price of an hour of `machine_of`; None where the table has none."""
    if _is_chosen_by_limits(vertex):
        return vertex.cpu_limit * _CPU_HOUR + vertex.memory_limit_gib * _GIB_HOUR
    return usd_per_hour(machine_of(vertex))


def usd_per_hour(machine: str) -> float | None:
    """Return the list price of a type of machine; None where the table has none."""
    return _USD_PER_HOUR.get(machine)


def machine_of(vertex: VertexSettings) -> str:
    """Return the machine of training and generation: the smallest that has what is asked for."""
    if _is_chosen_by_limits(vertex):
        return f"a machine with {vertex.cpu_limit:g} CPUs and {vertex.memory_limit_gib:g} GiB"
    if vertex.spot_machine_type:
        return vertex.spot_machine_type
    wanted = (vertex.accelerator_type, vertex.accelerator_count)
    fitting = [
        name
        for name, machine in MACHINES.items()
        if (machine.accelerator, machine.n_accelerators) == wanted
        and machine.cpus >= vertex.cpu_limit
        and machine.memory_gib >= vertex.memory_limit_gib
    ]
    if not fitting:
        return f"n1 with {vertex.accelerator_type}"
    return min(fitting, key=lambda name: MACHINES[name].cpus)


def _is_chosen_by_limits(vertex: VertexSettings) -> bool:
    """Whether Vertex AI chooses a machine without an accelerator that has the limits."""
    return not vertex.accelerator_type and not vertex.spot_machine_type


def describe_machine_cost(config: Config) -> str:
    """Say what the machines of a round cost, and from what that was computed."""
    first = machine_cost(config, is_first=True)
    later = machine_cost(config, is_first=False)
    if first.usd is None or later.usd is None:
        return f"Machines on Vertex AI: the price table of {DATE} has no {first.machine}."
    vertex = config.vertex_settings
    notes = ""
    if not vertex.accelerator_type:
        notes += "; they are those of an accelerator, and CPUs take many times as long"
    if vertex.spot_machine_type:
        notes += "; spot machines cost less, and the containers that wait for them are counted"
    if vertex.dataflow_image:
        notes += "; Dataflow's machines come on top"
    return (
        f"Machines on Vertex AI: about {first.usd:.2f} USD for round 1 "
        f"({first.accelerated_minutes} minutes of {first.machine}) and {later.usd:.2f} for each "
        f"later one, at list prices of us-central1 of {DATE} and assumed minutes{notes}."
    )
