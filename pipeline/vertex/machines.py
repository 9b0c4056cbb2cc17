"""Machines, accelerators and regions of Vertex AI's custom training; imports nothing.

Checked in 2026-11. Machines without an accelerator: stored copies of the list of
https://cloud.google.com/vertex-ai/docs/training/configure-compute, which ends there at
n1-highmem-64; what comes after it (n1-highcpu, c2, m1) is unconfirmed, and so is whether newer
families were added. CPUs and memory of the others: what `gcloud compute machine-types list` printed
on 2026-08-20 (tools/machinetypes.csv of
https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator).
Accelerators of a machine: build/gcp.yml there, but for A3 Ultra and A4, whose names say how
many they have. Names of accelerators: `aiplatform_v1.AcceleratorType`. n1: SkyPilot's copy of
https://cloud.google.com/compute/docs/gpus. Limits of a task:
https://docs.cloud.google.com/vertex-ai/docs/pipelines/machine-types. Which of them a region has,
only the region says.
"""

import re
from typing import NamedTuple

MAX_CPUS = 96
MAX_MEMORY_GIB = 624
"""Maximum that a pipeline task may request."""


class Machine(NamedTuple):
    """A machine that comes with its accelerators, or the largest one that may have them."""

    accelerator: str
    n_accelerators: int
    cpus: int
    memory_gib: int


# Machines whose type says which accelerators they have. Not A4X (NVIDIA_GB200): its processors are
# Arm, and the image is for x86.
MACHINES = {
    "g2-standard-4": Machine("NVIDIA_L4", 1, 4, 16),
    "g2-standard-8": Machine("NVIDIA_L4", 1, 8, 32),
    "g2-standard-12": Machine("NVIDIA_L4", 1, 12, 48),
    "g2-standard-16": Machine("NVIDIA_L4", 1, 16, 64),
    "g2-standard-32": Machine("NVIDIA_L4", 1, 32, 128),
    "g2-standard-24": Machine("NVIDIA_L4", 2, 24, 96),
    "g2-standard-48": Machine("NVIDIA_L4", 4, 48, 192),
    "g2-standard-96": Machine("NVIDIA_L4", 8, 96, 384),
    "g4-standard-48": Machine("NVIDIA_RTX_PRO_6000", 1, 48, 180),
    "g4-standard-96": Machine("NVIDIA_RTX_PRO_6000", 2, 96, 360),
    "g4-standard-192": Machine("NVIDIA_RTX_PRO_6000", 4, 192, 720),
    "g4-standard-384": Machine("NVIDIA_RTX_PRO_6000", 8, 384, 1440),
    "a2-highgpu-1g": Machine("NVIDIA_TESLA_A100", 1, 12, 85),
    "a2-highgpu-2g": Machine("NVIDIA_TESLA_A100", 2, 24, 170),
    "a2-highgpu-4g": Machine("NVIDIA_TESLA_A100", 4, 48, 340),
    "a2-highgpu-8g": Machine("NVIDIA_TESLA_A100", 8, 96, 680),
    "a2-ultragpu-1g": Machine("NVIDIA_A100_80GB", 1, 12, 170),
    "a2-ultragpu-2g": Machine("NVIDIA_A100_80GB", 2, 24, 340),
    "a2-ultragpu-4g": Machine("NVIDIA_A100_80GB", 4, 48, 680),
    "a2-ultragpu-8g": Machine("NVIDIA_A100_80GB", 8, 96, 1360),
    "a3-highgpu-1g": Machine("NVIDIA_H100_80GB", 1, 26, 234),
    "a3-highgpu-2g": Machine("NVIDIA_H100_80GB", 2, 52, 468),
    "a3-highgpu-4g": Machine("NVIDIA_H100_80GB", 4, 104, 936),
    "a3-highgpu-8g": Machine("NVIDIA_H100_80GB", 8, 208, 1872),
    "a3-megagpu-8g": Machine("NVIDIA_H100_MEGA_80GB", 8, 208, 1872),
    "a3-ultragpu-8g": Machine("NVIDIA_H200_141GB", 8, 224, 2952),
    "a4-highgpu-8g": Machine("NVIDIA_B200", 8, 224, 3968),
}

# The largest n1 machine that may have so many of an accelerator.
N1_MACHINES = (
    Machine("NVIDIA_TESLA_T4", 1, 48, 312),
    Machine("NVIDIA_TESLA_T4", 2, 48, 312),
    Machine("NVIDIA_TESLA_T4", 4, 96, 624),
    Machine("NVIDIA_TESLA_P4", 1, 24, 156),
    Machine("NVIDIA_TESLA_P4", 2, 48, 312),
    Machine("NVIDIA_TESLA_P4", 4, 96, 624),
    Machine("NVIDIA_TESLA_P100", 1, 16, 104),
    Machine("NVIDIA_TESLA_P100", 2, 32, 208),
    Machine("NVIDIA_TESLA_P100", 4, 96, 624),
    Machine("NVIDIA_TESLA_V100", 1, 12, 78),
    Machine("NVIDIA_TESLA_V100", 2, 24, 156),
    Machine("NVIDIA_TESLA_V100", 4, 48, 312),
    Machine("NVIDIA_TESLA_V100", 8, 96, 624),
)

# In SUPPORTED_TRAINING_REGIONS of Google Cloud CLI 578.0.0 (2026-08) and in SUPPORTED_REGIONS of
# google-cloud-aiplatform 1.165.1.
# fmt: off
_PLACES = {
    "africa": ("south1",),
    "asia": (
        "east1", "east2", "northeast1", "northeast2", "northeast3", "south1", "south2",
        "southeast1", "southeast2",
    ),
    "australia": ("southeast1", "southeast2"),
    "europe": (
        "central2", "north1", "north2", "southwest1", "west1", "west12", "west2", "west3", "west4",
        "west6", "west8", "west9",
    ),
    "me": ("central1", "central2", "west1"),
    "northamerica": ("northeast1", "northeast2"),
    "southamerica": ("east1", "west1"),
    "us": (
        "central1", "east1", "east4", "east5", "south1", "west1", "west2", "west3", "west4",
        "west8",
    ),
}
# fmt: on
REGIONS = frozenset(f"{area}-{place}" for area, places in _PLACES.items() for place in places)

# CPUs of the machines of custom training without an accelerator. Compute Engine has many more.
_N2 = (4, 8, 16, 32, 48, 64, 80)
_N1 = (4, 8, 16, 32, 64, 96)
_CPUS = {
    "e2-standard": (4, 8, 16, 32),
    "e2-highmem": (2, 4, 8, 16),
    "e2-highcpu": (16, 32),
    "n2-standard": _N2,
    "n2-highmem": (2, *_N2),
    "n2-highcpu": (16, 32, 48, 64, 80),
    "n1-standard": _N1,
    "n1-highmem": (2, *_N1),
    "n1-highcpu": (16, 32, 64, 96),
    "c2-standard": (4, 8, 16, 30, 60),
    "m1-ultramem": (40, 80, 160),
    "m1-megamem": (96,),
}
_CPU_MACHINE = re.compile(r"(?P<family>[a-z]+[0-9][a-z]*-[a-z]+)-(?P<cpus>[1-9][0-9]*)")

_N1_MACHINE = re.compile(r"n1-(?:standard|highmem|highcpu)-(\d+)")


def accelerators() -> list[str]:
    """Return the names of the accelerators that some machine has, sorted."""
    return sorted({machine.accelerator for machine in (*MACHINES.values(), *N1_MACHINES)})


def counts_of(accelerator: str) -> list[int]:
    """Return how many of an accelerator one machine may have, in ascending order."""
    every = (*MACHINES.values(), *N1_MACHINES)
    return sorted(
        {machine.n_accelerators for machine in every if machine.accelerator == accelerator}
    )


def fits(accelerator: str, count: int, cpus: float, memory_gib: float) -> bool:
    """Whether some machine has the accelerators and as many CPUs and as much memory."""
    return any(
        cpus <= machine.cpus and memory_gib <= machine.memory_gib
        for machine in (*MACHINES.values(), *N1_MACHINES)
        if (machine.accelerator, machine.n_accelerators) == (accelerator, count)
    )


def describe_largest(accelerator: str, count: int) -> str:
    """Describe the largest machine with so many of an accelerator."""
    every = (*MACHINES.values(), *N1_MACHINES)
    found = [m for m in every if (m.accelerator, m.n_accelerators) == (accelerator, count)]
    cpus, memory = max(m.cpus for m in found), max(m.memory_gib for m in found)
    return f"{min(cpus, MAX_CPUS)} CPUs and {min(memory, MAX_MEMORY_GIB)} GiB"


def machine_problem(machine_type: str, accelerator: str | None, count: int) -> str | None:
    """Say why a machine cannot have the accelerators; None where it can.

    Args:
        machine_type: For example `g2-standard-8`.
        accelerator: For example `NVIDIA_L4`; None for none.
        count: Accelerators of the machine.
    """
    if machine := MACHINES.get(machine_type):
        if accelerator != machine.accelerator:
            return f"a {machine_type} carries {machine.accelerator} and not {accelerator}"
        if count != machine.n_accelerators:
            return f"a {machine_type} has {machine.n_accelerators} of {accelerator}, not {count}"
    elif problem := _cpu_machine_problem(machine_type):
        return problem
    elif accelerator is not None:
        n1 = _N1_MACHINE.fullmatch(machine_type)
        known = [
            m for m in N1_MACHINES if (m.accelerator, m.n_accelerators) == (accelerator, count)
        ]
        if not n1 or not any(int(n1[1]) <= machine.cpus for machine in known):
            return f"a {machine_type} cannot carry {count} of {accelerator}"
    return None


def _cpu_machine_problem(machine_type: str) -> str | None:
    match = _CPU_MACHINE.fullmatch(machine_type)
    cpus = _CPUS.get(match["family"], ()) if match else ()
    if not match or not cpus:
        known = ", ".join(sorted(_CPUS))
        return f"Vertex AI's custom training has no machine {machine_type!r}; it has {known}"
    if int(match["cpus"]) not in cpus:
        sizes = ", ".join(map(str, sorted(cpus)))
        return (
            f"Vertex AI's custom training has no machine {machine_type!r}: {match['family']} has "
            f"{sizes} CPUs there"
        )
    return None
