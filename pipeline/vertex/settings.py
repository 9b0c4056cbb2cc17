"""Where and how the pipeline runs on Google Cloud; imports nothing heavy."""

import re
from typing import Annotated, Self

import pydantic
from pydantic import Field

from core.bucket_uri import split_uri
from pipeline.vertex.machines import (
    MAX_CPUS,
    MAX_MEMORY_GIB,
    REGIONS,
    accelerators,
    counts_of,
    describe_largest,
    fits,
    machine_problem,
)

SECRETS_VARIABLE = "UNDERSTUDY_SECRETS"
"""Holds a JSON object: environment variable to Secret Manager's name of its value."""
ACCELERATOR_VARIABLE = "UNDERSTUDY_ACCELERATOR"
"""Names the accelerator that a task is paid for, in its environment."""
JOB_FLAG = "--pipeline_job"
"""Gives a task the resource name of its PipelineJob."""
TIME_LIMIT_FLAG = "--time_limit_seconds"
"""Gives a task the seconds after which it is ended."""
FAILURE_POLICY = "PIPELINE_FAILURE_POLICY_FAIL_FAST"
"""Of every job: tasks that are still to start after a failure cost money and help nobody."""

# https://cloud.google.com/resource-manager/docs/labels-overview; Google's own begin with goog.
_LABEL_KEY = r"^[a-z][a-z0-9_-]{0,62}$"
_LABEL_VALUE = r"^[a-z0-9_-]{0,63}$"
# Of the runner; `unschedule` and deploy/teardown.sh find jobs by them.
_OWN_LABELS = ("pipeline", "round", "started-by")
_MAX_LABELS = 64 - len(_OWN_LABELS)
# https://cloud.google.com/storage/docs/buckets#naming
_PIPELINE_ROOT = r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]{1}(/.+)?$"
_IP_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_MAX_OF_A_PART = 63  # characters of a bucket's name between two dots
# Of a project id, with the domain where it has one; a project number is none.
_PROJECT = r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{1,28}[a-z0-9]$"
# With its registry, as containers are given it: HOST/PATH, then :TAG, @DIGEST or both.
_IMAGE = (
    r"^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost)(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
    r"(?::[A-Za-z0-9_][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
)
_SECRET = r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"

ImageName = Annotated[str, Field(pattern=_IMAGE)]
LabelKey = Annotated[str, Field(pattern=_LABEL_KEY)]
LabelValue = Annotated[str, Field(pattern=_LABEL_VALUE)]
SecretName = Annotated[str, Field(pattern=_SECRET)]
VariableName = Annotated[str, Field(pattern=_VARIABLE)]


class VertexSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """Where the pipeline runs on Vertex AI; it holds the names of secrets, never a secret."""

    project: str = Field(pattern=_PROJECT)
    """Google Cloud project id, such as `my-team-123`; not its name or number."""

    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    """For example `europe-west4`."""

    pipeline_root: str = Field(pattern=_PIPELINE_ROOT)
    """`gs://bucket/folder` for artifacts, the journal and the state of loops."""

    image: ImageName
    """Container image of this repository, made by `deploy/build.sh` as the next ones, with its
    registry; for example `europe-west4-docker.pkg.dev/my-team/understudy/pipeline:1`."""

    trainer_image: ImageName | None = None
    """Image of the Trainer and the ResponseGens where it differs: the one with CUDA, for
    accelerators."""

    service_account: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$")
    """Account that the tasks run as; None for the project's default."""

    network: str | None = Field(None, pattern=r"^projects/[^/]+/global/networks/[^/]+$")
    """VPC network that the tasks are peered with, as `projects/NUMBER/global/networks/NAME`; None
    for none."""

    reserved_ip_ranges: tuple[str, ...] = ()
    """Names of the ranges in `network` that tasks take addresses from."""

    labels: dict[LabelKey, LabelValue] = Field({}, max_length=_MAX_LABELS)
    """Labels of jobs and schedules, for example for billing; a name begins with a small letter, and
    not with `goog`. `pipeline`, `round` and `started-by` are set by the runner."""

    enable_caching: bool = True
    """Whether a task with the inputs of an earlier one is answered by its outputs."""

    secrets: dict[VariableName, SecretName] = {}
    """Environment variable of the tasks to Secret Manager's name of its value,
    `projects/P/secrets/S/versions/V`; for example `HF_TOKEN`."""

    accelerator_type: str | None = Field(None, pattern=r"^NVIDIA_[A-Z0-9_]+$")
    """For example `NVIDIA_L4`; None trains and generates on CPU."""

    accelerator_count: int = Field(1, ge=1, le=8)
    """Accelerators of the machine of one task. Training and generation use one, unless
    `training.distribution` and `generation.distribution` say otherwise."""

    cpu_limit: float = Field(8, gt=0, le=MAX_CPUS)
    """Virtual CPUs of the Trainer and the ResponseGens."""

    memory_limit_gib: float = Field(32, gt=0, le=MAX_MEMORY_GIB)
    """Their memory, in GiB."""

    spot_machine_type: str | None = Field(None, pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)+$")
    """For example `g2-standard-8`: the Trainer and the ResponseGens run on spot machines of this
    type, instead of on what fits the limits above. They cost less and may be taken away; a training
    then resumes from its last checkpoint. None for ordinary machines."""

    parallel_accelerators: int = Field(1, ge=1, le=4)
    """Tasks with an accelerator that may run at once. 1 needs quota for the accelerators of one
    task: a task over quota is refused, not queued."""

    images_hold_jax: bool = True
    """Whether `image` and `trainer_image` hold JAX, as those of `deploy/build.sh` do;
    `training.backend=jax` needs it."""

    encryption_key: str | None = Field(
        None, pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"
    )
    """Customer-managed key of Cloud KMS for jobs, those of Dataflow too, and their metadata, as
    `projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, in `region`; None for Google's keys."""

    network_attachment: str | None = Field(
        None, pattern=r"^projects/[^/]+/regions/[^/]+/networkAttachments/[^/]+$"
    )
    """Network attachment through which tasks reach a VPC by Private Service Connect, as
    `projects/P/regions/REGION/networkAttachments/NAME`; excludes `network`. None for none."""

    task_hours: float = Field(24, ge=0.1, le=168)
    """Hours after which a task is ended, and its job with it, so that a hung task does not cost for
    a week."""

    task_retries: int = Field(2, ge=0, le=10)
    """Times that a failed task is retried; 0 disables retries. A mistake that you can fix, and
    a task that was ended after `task_hours`, are not retried: they end the job."""

    dataflow_image: ImageName | None = None
    """Image of Dataflow's workers; CoverageExampleGen, StatisticsGen, Transform and SynthDataGen's
    reading and writing run there. None runs Beam inside their containers, where 200,000 rows take
    them a minute (measured)."""

    dataflow_max_workers: int = Field(4, ge=1, le=1000)
    """Maximum number of machines of one Dataflow job."""

    dataflow_subnetwork: str | None = Field(
        None,
        pattern=r"^(https://www\.googleapis\.com/compute/v1/projects/[^/]+/)?"
        r"regions/[a-z0-9-]+/subnetworks/[a-z][a-z0-9-]{0,62}$",
    )
    """Subnetwork of the Dataflow machines, as `regions/REGION/subnetworks/NAME`, or, of a shared
    VPC, its full URL; None for the default network."""

    repository_dir: str = "/app"
    """Where the image holds this repository."""

    @pydantic.model_validator(mode="after")
    def _ranges_need_a_network(self) -> Self:
        if self.reserved_ip_ranges and not self.network:
            raise ValueError("reserved_ip_ranges need a network; set network too")
        return self

    @pydantic.model_validator(mode="after")
    def _one_way_into_a_network(self) -> Self:
        if self.network and self.network_attachment:
            raise ValueError(
                "network and network_attachment are mutually exclusive; set one of them"
            )
        places = {"encryption_key": "locations", "network_attachment": "regions"}
        for field, place in places.items():
            name = getattr(self, field)
            if name and f"/{place}/{self.region}/" not in name:
                raise ValueError(
                    f"{field} {name!r} is not in {self.region}, where the job runs; give one of "
                    "that region"
                )
        return self

    @pydantic.model_validator(mode="after")
    def _names_are_possible(self) -> Self:
        bucket, _ = split_uri(self.root)
        if problem := _bucket_problem(bucket):
            raise ValueError(f"no bucket is named {bucket!r}: {problem}; correct pipeline_root")
        if self.region not in REGIONS:
            known = ", ".join(sorted(REGIONS))
            raise ValueError(f"Vertex AI has no region {self.region!r}; choose among {known}")
        if reserved := sorted(name for name in self.labels if name.startswith("goog")):
            raise ValueError(f"the label {reserved[0]!r} begins with Google's goog; rename it")
        if own := sorted(self.labels.keys() & set(_OWN_LABELS)):
            raise ValueError(
                f"the label {own[0]!r} is set by the runner, which recognizes its jobs by it; "
                "rename it"
            )
        network = self.dataflow_subnetwork
        if network and f"regions/{self.region}/" not in network:
            raise ValueError(
                f"dataflow_subnetwork {network!r} is not in {self.region}, where the job runs; "
                "give a subnetwork of that region"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _machines_exist(self) -> Self:
        kind, count = self.accelerator_type, self.accelerator_count
        if kind and kind not in accelerators():
            raise ValueError(
                f"Vertex AI has no accelerator {kind!r} on machines with x86 processors; choose "
                f"among {', '.join(accelerators())}"
            )
        if self.spot_machine_type:
            if problem := machine_problem(self.spot_machine_type, kind, count):
                raise ValueError(
                    f"{problem}; change accelerator_type, accelerator_count or spot_machine_type"
                )
        elif kind and count not in counts_of(kind):
            allowed = ", ".join(map(str, counts_of(kind)))
            raise ValueError(
                f"no machine has {count} of {kind}; set accelerator_count to one of {allowed}"
            )
        elif kind and not fits(kind, count, self.cpu_limit, self.memory_limit_gib):
            raise ValueError(
                f"machines with {count} of {kind} have at most {describe_largest(kind, count)}; "
                f"lower cpu_limit ({self.cpu_limit:g}) or memory_limit_gib "
                f"({self.memory_limit_gib:g})"
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


def _bucket_problem(name: str) -> str | None:
    """Say why Cloud Storage takes no bucket of this name; None where the name is possible."""
    if _IP_ADDRESS.fullmatch(name):
        return "it is an IP address"
    if name.startswith("goog") or "google" in name:
        return "Google keeps names that begin with goog or contain google"
    if not all(1 <= len(part) <= _MAX_OF_A_PART for part in name.split(".")):
        return f"it has 1 to {_MAX_OF_A_PART} characters before, between and after its dots"
    return None
