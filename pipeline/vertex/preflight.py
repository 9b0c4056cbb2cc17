"""Finds what would fail on Vertex AI before anything is submitted or paid for."""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from core.base_model import RANDOM_PREFIX
from core.errors import UserError
from pipeline.base_model_check import export_problems
from pipeline.budget_check import budget_problems
from pipeline.config import Config
from pipeline.vertex.bucket import Bucket
from pipeline.vertex.errors import VertexError, advice
from pipeline.vertex.image_rows import check_rows
from pipeline.vertex.machines import counts_of
from pipeline.vertex.settings import VertexSettings
from service_llm.settings import ServiceLLMSettings

_logger = logging.getLogger(__name__)

_THIS_MACHINE = re.compile(r"^env:|//(localhost|127\.|0\.0\.0\.0|\[::1\])")
# What KerasHub downloads, and what is made without files.
_PRESET = re.compile(r"(hf|kaggle)://.+|random:.+|\w[\w.-]*", re.ASCII)
_MODEL_FILES = (".gguf", ".keras", ".h5", ".safetensors")
# Built-in names are Kaggle's, too; the terms of these are accepted by an account.
_KAGGLE_LOGIN = re.compile(r"(?!hf://|random:).*(gemma(?!_?4)|llama)", re.IGNORECASE)
_KAGGLE_KEYS = ("KAGGLE_USERNAME", "KAGGLE_KEY")
_IN_IMAGE = "data/coverage"  # what the Dockerfile copies
_IMAGE = re.compile(
    r"^(?P<host>[^/]+)/(?P<name>[^@]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:\w+))?$"
)
_REGISTRIES = re.compile(r"(\.pkg\.dev|gcr\.io|^127\.0\.0\.1:\d+)$")
_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_TIMEOUT_SECONDS = 30


def check_config(config: Config, vertex: VertexSettings, *, reads_rows: bool = True) -> None:
    """Look for what cannot work inside the containers.

    Args:
        config: The configuration of a run.
        vertex: Its `vertex` section.
        reads_rows: Whether to check the coverage dataset, too, where it is a folder.

    Raises:
        UserError: The message names everything that was found, with what to set.
    """
    problems = [
        *budget_problems(config),
        *_service_problems(config, vertex),
        *_model_problems(config, vertex),
        *export_problems(config),
        *_coverage_problems(config, vertex),
        *_label_problems(config, vertex),
        *_machine_problems(config, vertex),
    ]
    if problems:
        lines = "\n".join(f"- {problem}" for problem in problems)
        raise UserError(f"This configuration cannot run on Vertex AI:\n{lines}")
    if reads_rows:
        check_rows(config)


def check_cloud(vertex: VertexSettings, bucket: Bucket, session: Any) -> None:
    """Look whether the bucket and the images exist.

    Args:
        vertex: Where they should be.
        bucket: Looks into the bucket.
        session: A `requests` session that signs in at the registry.

    Raises:
        VertexError: An image does not exist or may not be read.
        google.api_core.exceptions.GoogleAPIError: The bucket does not exist or may not be read.
    """
    bucket.check(vertex.root)
    for image in vertex.images:
        _check_image(image, vertex, session)


def _service_problems(config: Config, vertex: VertexSettings) -> Iterator[str]:
    for section, settings in config.services.items():
        if settings.base_url and _THIS_MACHINE.search(settings.base_url):
            yield (
                f"{section}.base_url is {settings.base_url!r}, which is on this machine only. "
                "Use --preset vertex, or give the URL of a service that the tasks can reach."
            )
        elif _misses_key(settings, vertex):
            yield (
                f"{section} reads its key from {settings.api_key_env}, which the containers do "
                f"not have. Set vertex.secrets.{settings.api_key_env} to the name of a secret "
                "(projects/P/secrets/S/versions/V), or use Vertex AI with "
                f"{section}.vertex_project."
            )


def _misses_key(settings: ServiceLLMSettings, vertex: VertexSettings) -> bool:
    if settings.vertex_project or settings.api_key_secret or not settings.api_key_env:
        return False
    return settings.api_key_env not in vertex.secrets


def _model_problems(config: Config, vertex: VertexSettings) -> Iterator[str]:
    token = config.push.token_env
    if config.push.destination == "local":
        yield (
            "push.destination is 'local': a folder of a container is gone when its task ends. "
            "Set push.destination=hub."
        )
    elif config.push.endpoint and _THIS_MACHINE.search(config.push.endpoint):
        yield (
            f"push.endpoint is {config.push.endpoint!r}, which is on this machine only. Give the "
            "URL of a Hub that the tasks can reach, or set push.endpoint=null."
        )
    elif not config.push.token_secret and token not in vertex.secrets:
        yield (
            f"A blessed model is pushed to the Hub, and {token} is not one of the tasks' secrets. "
            f"Set vertex.secrets.{token} to the name of a secret (projects/P/secrets/S/versions/V)."
        )
    if config.push.license_file and "://" not in config.push.license_file:
        yield (
            f"push.license_file is {config.push.license_file!r}, which the image does not hold. "
            f"Upload it with gcloud storage cp {config.push.license_file} {vertex.root}/ and give "
            "its URI."
        )
    preset = config.training.preset
    if not _can_be_downloaded(preset):
        yield (
            f"training.preset is {preset!r}, which is not in the image. Set "
            "training.preset=hf://google/gemma-3-1b-it, another hf://… or kaggle://… preset, or a "
            "built-in name such as gemma3_1b."
        )
    elif re.match(r"hf://.*gemma", preset) and "HF_TOKEN" not in vertex.secrets:
        yield (
            f"training.preset is {preset!r}, and Gemma's weights need a login at the Hub. Set "
            "vertex.secrets.HF_TOKEN to the name of a secret."
        )
    elif _KAGGLE_LOGIN.match(preset) and not _has_kaggle_login(vertex):
        yield (
            f"training.preset is {preset!r}, whose weights need a login at Kaggle. Set "
            f"{' and '.join(f'vertex.secrets.{key}' for key in _KAGGLE_KEYS)} to the names of "
            "secrets, or set training.preset=hf://…."
        )


def _can_be_downloaded(preset: str) -> bool:
    if not _PRESET.fullmatch(preset):
        return False
    is_name = "://" not in preset and not preset.startswith(RANDOM_PREFIX)
    return not is_name or not (preset.endswith(_MODEL_FILES) or Path(preset).exists())


def _has_kaggle_login(vertex: VertexSettings) -> bool:
    return "KAGGLE_API_TOKEN" in vertex.secrets or vertex.secrets.keys() >= set(_KAGGLE_KEYS)


def _coverage_problems(config: Config, vertex: VertexSettings) -> Iterator[str]:
    folder = config.coverage_dir
    path = PurePosixPath(posixpath.normpath(folder))
    if not folder.startswith("gs://") and not path.is_relative_to(_IN_IMAGE):
        copy = f"{vertex.root}/coverage/{path.name}"
        yield (
            f"coverage_dir is {folder!r}, and the image contains {_IN_IMAGE} only. Upload it with "
            f"gcloud storage rsync --recursive {folder} {copy} and set coverage_dir={copy}, or "
            f"move it into {_IN_IMAGE} and build the image again."
        )


def _label_problems(config: Config, vertex: VertexSettings) -> Iterator[str]:
    uri = config.evaluator.labels_uri
    if uri and "://" not in uri:
        copy = f"{vertex.root}/{PurePath(uri).name}"
        yield (
            f"evaluator.labels_uri is {uri!r}, which is not in the image. Upload it with "
            f"gcloud storage cp {uri} {copy} and set evaluator.labels_uri={copy}."
        )


def _machine_problems(config: Config, vertex: VertexSettings) -> Iterator[str]:
    if config.training.backend == "jax" and not vertex.images_hold_jax:
        yield (
            "training.backend is 'jax', and vertex.images_hold_jax=false says that the images do "
            "not contain JAX. Use those of deploy/build.sh and set vertex.images_hold_jax=true, or "
            "set training.backend=tensorflow."
        )
    if config.privacy.presidio_models:
        yield (
            "privacy.presidio_models is set, and the image contains neither Presidio nor spaCy "
            "models. Take names and places out of the rows, and set privacy.presidio_models={}."
        )
    shares = (config.training.distribution, config.generation.distribution)
    if vertex.accelerator_type and vertex.accelerator_count > 1 and set(shares) == {"none"}:
        single = "set vertex.accelerator_count=1"
        if 1 not in counts_of(vertex.accelerator_type):
            single = "choose an accelerator that machines have singly, such as NVIDIA_L4"
        yield (
            f"vertex.accelerator_count is {vertex.accelerator_count}, and training and generation "
            "use one; the others would be paid for and idle. Set training.distribution=data or "
            f"generation.distribution=data (with training.backend=jax), or {single}."
        )
    if vertex.accelerator_type and not vertex.trainer_image:
        yield (
            f"vertex.accelerator_type is {vertex.accelerator_type!r}, and vertex.image has no CUDA "
            "to use it with. Set vertex.trainer_image to the image that TARGETS='pipeline cuda' "
            "deploy/build.sh makes, or set vertex.accelerator_type=null."
        )


def _check_image(image: str, vertex: VertexSettings, session: Any) -> None:
    match = _IMAGE.match(image)
    if not match or not _REGISTRIES.search(match["host"]):
        # The session's token is for Google alone.
        _logger.warning(
            "The image %s was not checked: only those in Google's registries are.", image
        )
        return
    scheme = "http" if match["host"].startswith("127.") else "https"  # as Docker does
    reference = match["digest"] or match["tag"] or "latest"
    url = f"{scheme}://{match['host']}/v2/{match['name']}/manifests/{reference}"
    response = session.head(url, headers={"Accept": _MANIFESTS}, timeout=_TIMEOUT_SECONDS)
    if response.ok:
        return
    reason = {
        401: "artifactregistry.repositories.downloadArtifacts denied",
        403: "artifactregistry.repositories.downloadArtifacts denied",
        404: "manifest unknown: the image does not exist",
    }.get(response.status_code, f"the registry answers {response.status_code}")
    raise VertexError(f"The image {image}: {reason}\n{advice(reason, vertex)}")
