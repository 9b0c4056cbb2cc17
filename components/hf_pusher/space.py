"""Assembles what the Space's repository holds; transfers nothing."""

from pathlib import Path

from components.hf_pusher.contents import (
    Names,
    Source,
    evaluation_files,
    json_bytes,
    marker_file,
)
from components.hf_pusher.hub import Content
from core import artifact_files
from reports.cards.space_card import space_card

_REPOSITORY = Path(__file__).resolve().parents[2]
SPACE_DIR = _REPOSITORY / "apps" / "space"

_SUFFIXES = (".py", ".css", ".txt")
# What the application hides personal data with; it imports nothing else of the repository.
_PRIVACY_FILES = ("task/__init__.py", "task/privacy/*.py", "task/privacy/*.yaml")


def space_content(source: Source, names: Names, *, revision: str) -> Content:
    """Assemble the application, with the model's id and revision and the evaluation filled in."""
    files: dict[str, Path | bytes] = {
        path.relative_to(SPACE_DIR).as_posix(): path.read_bytes()
        for path in sorted(SPACE_DIR.rglob("*"))
        if path.suffix in _SUFFIXES
    }
    files.update(evaluation_files(source))
    files.update(marker_file("space", source))
    named: dict[str, object] = {
        "title": source.task.title,
        "description": source.task.summary,
        "model": names.model,
        "revision": revision,
        "round": source.round,
    }
    if source.privacy.redact:
        # Presidio's models cannot be installed by a list of requirements.
        named["privacy"] = source.privacy.model_dump(exclude={"presidio_models"})
        files.update(_privacy_files())
    files[artifact_files.SPACE] = json_bytes(named)
    template = (SPACE_DIR / artifact_files.CARD).read_text(encoding="utf-8")
    card = space_card(template, title=source.task.title, model_id=names.model)
    files[artifact_files.CARD] = card.encode()
    return Content("space", names.model, files)


def _privacy_files() -> dict[str, bytes]:
    return {
        path.relative_to(_REPOSITORY).as_posix(): path.read_bytes()
        for pattern in _PRIVACY_FILES
        for path in sorted(_REPOSITORY.glob(pattern))
    }
