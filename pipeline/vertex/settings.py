"""Where and how the pipeline runs on Google Cloud; imports nothing heavy."""

from typing import Annotated, Self

import pydantic
from pydantic import Field

SECRETS_VARIABLE = "UNDERSTUDY_SECRETS"
"""Holds a JSON object: environment variable to Secret Manager's name of its value."""
ACCELERATOR_VARIABLE = "UNDERSTUDY_ACCELERATOR"
"""Names the accelerator that a task is paid for, in its environment."""

_LABEL = r"^[a-z0-9_-]{1,63}$"
_SECRET = r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"

Label = Annotated[str, Field(pattern=_LABEL)]
SecretName = Annotated[str, Field(pattern=_SECRET)]
VariableName = Annotated[str, Field(pattern=_VARIABLE)]

# https://cloud.google.com/vertex-ai/docs/training/configure-compute#gpus
_ACCELERATOR_OF = {
    "g2-": "NVIDIA_L4",
    "a2-highgpu-": "NVIDIA_TESLA_A100",
    "a2-megagpu-": "NVIDIA_TESLA_A100",
    "a2-ultragpu-": "NVIDIA_A100_80GB",
    "a3-highgpu-": "NVIDIA_H100_80GB",
    "a3-megagpu-": "NVIDIA_H100_MEGA_80GB",
    "a3-ultragpu-": "NVIDIA_H200_141GB",
    "a4-highgpu-": "NVIDIA_B200",
}


class VertexSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Where the pipeline runs on Vertex AI; it holds the names of secrets, never a secret.

    Attributes:
        project: Google Cloud project id.
        region: For example `europe-west4`.
        pipeline_root: `gs://bucket/folder` for artifacts, the journal and the state of loops.
        image: Container image of this repository, made by `deploy/build.sh` as the next ones.
        trainer_image: Image of the Trainer and the ResponseGens where it differs: the one with
            CUDA, for accelerators.
        service_account: Account that the tasks run as; None for the project's default.
        network: VPC network that the tasks are peered with, as
            `projects/NUMBER/global/networks/NAME`; None for none.
        reserved_ip_ranges: Names of the ranges in `network` that tasks take addresses from.
        labels: Labels of jobs and schedules, for example for billing.
        enable_caching: Whether a task with the inputs of an earlier one is answered by its outputs.
        secrets: Environment variable of the tasks to Secret Manager's name of its value,
            `projects/P/secrets/S/versions/V`; for example `HF_TOKEN`.
        accelerator_type: For example `NVIDIA_L4`; None trains and generates on CPU.
        accelerator_count: Accelerators of the machine of one task. Training and generation use one,
            unless `training.distribution` and `generation.distribution` say otherwise.
        cpu_limit: Virtual CPUs of the Trainer and the ResponseGens.
        memory_limit_gib: Their memory, in GiB.
        spot_machine_type: For example `g2-standard-8`: the Trainer and the ResponseGens run on spot
            machines of this type, instead of on what fits the limits above. They cost less and
            may be taken away; a training then goes on from its last checkpoint. None for ordinary
            machines.
        task_retries: Times that a failed task is started again; 0 disables retries.
        dataflow_image: Image of Dataflow's workers; CoverageExampleGen, StatisticsGen, Transform
            and SynthDataGen's reading and writing run there. None runs Beam inside their
            containers, where 200,000 rows take them a minute (measured).
        dataflow_max_workers: Machines of one Dataflow job at most.
        dataflow_subnetwork: Subnetwork of the Dataflow machines, as
            `regions/REGION/subnetworks/NAME`; None for the default network.
        repository_dir: Where the image holds this repository.
    """

    project: str = Field(min_length=1)
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    pipeline_root: str = Field(pattern=r"^gs://[^/]+(/.+)?$")
    image: str = Field(min_length=1)
    trainer_image: str | None = None
    service_account: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$")
    network: str | None = Field(None, pattern=r"^projects/[^/]+/global/networks/[^/]+$")
    reserved_ip_ranges: tuple[str, ...] = ()
    labels: dict[Label, Label] = {}
    enable_caching: bool = True
    secrets: dict[VariableName, SecretName] = {}
    accelerator_type: str | None = Field(None, pattern=r"^NVIDIA_[A-Z0-9_]+$")
    accelerator_count: int = Field(1, ge=1, le=8)
    cpu_limit: float = Field(8, gt=0)
    memory_limit_gib: float = Field(32, gt=0)
    spot_machine_type: str | None = Field(None, pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)+$")
    task_retries: int = Field(2, ge=0, le=10)
    dataflow_image: str | None = None
    dataflow_max_workers: int = Field(4, ge=1, le=1000)
    dataflow_subnetwork: str | None = None
    repository_dir: str = "/app"

    @pydantic.model_validator(mode="after")
    def _ranges_need_a_network(self) -> Self:
        if self.reserved_ip_ranges and not self.network:
            raise ValueError("reserved_ip_ranges go with a network; set network too")
        return self

    @pydantic.model_validator(mode="after")
    def _spot_machines_carry_the_accelerator(self) -> Self:
        machine = self.spot_machine_type or ""
        for family, accelerator in _ACCELERATOR_OF.items():
            if machine.startswith(family) and self.accelerator_type != accelerator:
                raise ValueError(
                    f"a {machine} carries {accelerator} and not {self.accelerator_type}; set "
                    f"accelerator_type to {accelerator}, or choose another spot_machine_type"
                )
        return self

    @property
    def images(self) -> tuple[str, ...]:
        """The images that a job needs, each once."""
        all_images = (self.image, self.trainer_image, self.dataflow_image)
        return tuple(dict.fromkeys(image for image in all_images if image))

    @property
    def root(self) -> str:
        """`pipeline_root` without a slash at its end."""
        return self.pipeline_root.rstrip("/")
