"""Puts together what the model, dataset and Space repositories hold; transfers nothing."""

import dataclasses
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.hf_pusher import cards
from components.hf_pusher.errors import PushError
from components.hf_pusher.hub import MARKER_FILE, Content, RepoKind
from components.hf_pusher.settings import PushSettings
from components.task import Task

SPACE_DIR = Path(__file__).resolve().parents[2] / "apps" / "space"
EVALUATION_FOLDER = "evaluation"

_PRESET = "preset"
_ADAPTER_FILE = "adapter.lora.h5"
_TRAINING_FILE = "training.json"
GENERATION_FILE = "generation.json"
_NEEDED_FILES = (_TRAINING_FILE, GENERATION_FILE)
_OPTIONAL_FILES = (_ADAPTER_FILE,)  # not where all weights were trained
# What a Trainer may write beside the preset; pushed under the same name where it is there.
_OPTIONAL_FOLDERS = ("transformers",)
_SPACE_SUFFIXES = (".py", ".css", ".txt")
_GEMMA_NOTICE = (
    b"Gemma is provided under and subject to the Gemma Terms of Use found at "
    b"ai.google.dev/gemma/terms\n"
)


@dataclasses.dataclass(frozen=True)
class Source:
    """What a round left behind for the push.

    Attributes:
        task: The task that the model takes over.
        round: Number of the round, from 1.
        model_dir: Local folder that the Trainer wrote: `preset/`, the adapter, `training.json`.
        report: `coverage_report.json`.
        verdicts: `verdicts.jsonl`.
        synthesis: `synthesis.json`.
        rows: The synthetic rows by split.
    """

    task: Task
    round: int
    model_dir: Path
    report: bytes
    verdicts: bytes
    synthesis: bytes
    rows: dict[str, list[dict[str, Any]]]

    @functools.cached_property
    def training(self) -> dict[str, Any]:
        """What the Trainer recorded about the training."""
        values: dict[str, Any] = json.loads((self.model_dir / _TRAINING_FILE).read_bytes())
        return values

    @functools.cached_property
    def generation(self) -> dict[str, Any]:
        """How the model is prompted: `prefix` and `suffix` of a prompt, `stop`, the lengths."""
        values: dict[str, Any] = json.loads((self.model_dir / GENERATION_FILE).read_bytes())
        return values


@dataclasses.dataclass(frozen=True)
class Names:
    """The repositories of a push, as `owner/name`.

    Attributes:
        model: The model's.
        dataset: The dataset's; None where it is not pushed.
    """

    model: str
    dataset: str | None


def model_content(settings: PushSettings, source: Source, names: Names) -> Content:
    """KerasHub preset, adapter, training record, evaluation and card.

    Raises:
        PushError: The Model artifact is incomplete.
    """
    files: dict[str, Path | bytes] = {name: source.model_dir / name for name in _NEEDED_FILES}
    optional = (name for name in _OPTIONAL_FILES if (source.model_dir / name).is_file())
    files.update({name: source.model_dir / name for name in optional})
    # The preset is at the root, because `from_preset("hf://owner/name")` looks for it there.
    files.update(_folder(source.model_dir / _PRESET))
    for folder in _OPTIONAL_FOLDERS:
        files.update(_folder(source.model_dir / folder, prefix=f"{folder}/"))
    missing = [name for name in _needed(source) if not (source.model_dir / name).is_file()]
    if missing:
        raise PushError(
            f"The model at {str(source.model_dir)!r} lacks {', '.join(missing)}, so nothing was "
            "pushed. Train it again: the Trainer's output is incomplete."
        )
    files.update(_evaluation(source))
    files.update(_marker("model", source))
    if settings.license == "gemma":
        files["NOTICE"] = _GEMMA_NOTICE
    files["README.md"] = cards.model_card(
        settings,
        cards.Facts(
            task=source.task,
            round=source.round,
            report=json.loads(source.report),
            training=source.training,
            synthesis=json.loads(source.synthesis),
            model_id=names.model,
            dataset_id=names.dataset,
            has_transformers=any(path.startswith("transformers/") for path in files),
            generation=source.generation,
        ),
    ).encode()
    return Content("model", names.model, files)


def _needed(source: Source) -> Iterator[str]:
    yield from (*_NEEDED_FILES, f"{_PRESET}/config.json")
    # A training of all weights has no adapter; one that says nothing is taken for LoRA.
    trained = (source.model_dir / _TRAINING_FILE).is_file()
    if not trained or source.training.get("hparams", {}).get("method", "lora") == "lora":
        yield _ADAPTER_FILE


def dataset_content(settings: PushSettings, source: Source, names: Names) -> Content:
    """The synthetic rows as Parquet, how they came about, and the card."""
    files: dict[str, Path | bytes] = {
        f"data/{split}-00000-of-00001.parquet": _parquet(rows)
        for split, rows in source.rows.items()
    }
    files.update(_marker("dataset", source))
    files["synthesis.json"] = source.synthesis
    files["README.md"] = cards.dataset_card(
        settings,
        task=source.task,
        synthesis=json.loads(source.synthesis),
        rows={split: len(rows) for split, rows in source.rows.items()},
        model_id=names.model,
    ).encode()
    return Content("dataset", names.model, files)


def space_content(source: Source, names: Names, *, revision: str) -> Content:
    """The application with the model's id and revision and the evaluation filled in."""
    files: dict[str, Path | bytes] = {
        path.relative_to(SPACE_DIR).as_posix(): path.read_bytes()
        for path in sorted(SPACE_DIR.rglob("*"))
        if path.suffix in _SPACE_SUFFIXES
    }
    files.update(_evaluation(source))
    files.update(_marker("space", source))
    files["space.json"] = _json(
        {
            "title": cards.title(source.task),
            "model": names.model,
            "revision": revision,
            "round": source.round,
        }
    )
    template = (SPACE_DIR / "README.md").read_text(encoding="utf-8")
    files["README.md"] = cards.space_card(template, source.task, names.model).encode()
    return Content("space", names.model, files)


def _evaluation(source: Source) -> dict[str, bytes]:
    return {
        f"{EVALUATION_FOLDER}/coverage_report.json": source.report,
        f"{EVALUATION_FOLDER}/verdicts.jsonl": source.verdicts,
    }


def _marker(kind: RepoKind, source: Source) -> dict[str, bytes]:
    value = {"pushed_by": "understudy", "kind": kind, "task": source.task.name}
    return {MARKER_FILE: _json({**value, "round": source.round})}


def _folder(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield prefix + path.relative_to(folder).as_posix(), path


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    # Row groups smaller than the default let the Hub's viewer page through the data.
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, row_group_size=1000)
    return buffer.getvalue()
