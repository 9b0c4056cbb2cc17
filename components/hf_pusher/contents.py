"""Puts together what the model, dataset and Space repositories hold; transfers nothing."""

import dataclasses
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.hf_pusher import cards
from components.hf_pusher.base_models import BaseModel, License, base_model
from components.hf_pusher.checksums import refuse_damaged
from components.hf_pusher.errors import PushError
from components.hf_pusher.hub import MARKER_FILE, Content, RepoKind
from components.hf_pusher.model_card import Facts, model_card
from components.hf_pusher.settings import PushSettings
from components.task import Task

SPACE_DIR = Path(__file__).resolve().parents[2] / "apps" / "space"
EVALUATION_FOLDER = "evaluation"

_PRESET = "preset"
_CONFIG_FILE = f"{_PRESET}/config.json"
# What a Trainer writes a model as, by the name in its record of verifications.
_EXPORTS = {
    "preset": _PRESET,
    "adapter": "adapter.lora.h5",
    "transformers": "transformers",
    "saved_model": "saved_model",
    "gguf": "gguf",
}
_TRAINING_FILE = "training.json"
GENERATION_FILE = "generation.json"
_NEEDED_FILES = (_TRAINING_FILE, GENERATION_FILE, _CONFIG_FILE)
_SPACE_SUFFIXES = (".py", ".css", ".txt")
# The order of the dataset's columns; others follow by name.
_COLUMNS = ("id", "prompt", "output", "provenance", "round")


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
        dataset_card: `README.md` of the synthetic Examples.
        rows: The synthetic rows by split.
    """

    task: Task
    round: int
    model_dir: Path
    report: bytes
    verdicts: bytes
    synthesis: bytes
    dataset_card: bytes
    rows: dict[str, list[dict[str, Any]]]

    @functools.cached_property
    def training(self) -> dict[str, Any]:
        """What the Trainer recorded about the training."""
        values: dict[str, Any] = json.loads((self.model_dir / _TRAINING_FILE).read_bytes())
        return values

    @property
    def exports(self) -> dict[str, dict[str, Any]]:
        """By the name of an export, how it compared with the trained model."""
        values: dict[str, dict[str, Any]] = self.training.get("exports", {})
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
    """All exports of the model, the training record, the evaluation and the card.

    Raises:
        PushError: The Model artifact is incomplete or damaged, or an export of it was not verified.
    """
    _refuse_incomplete(source)
    _refuse_unverified(source)
    files: dict[str, Path | bytes] = {
        name: source.model_dir / name for name in (_TRAINING_FILE, GENERATION_FILE)
    }
    for name in source.exports:
        files.update(_export(source.model_dir, name))
    files.update(_evaluation(source))
    files.update(_marker("model", source))
    base = _base_model(settings, source)
    if base.license and base.license.notice:
        files["NOTICE"] = f"{base.license.notice}\n".encode()
    files["README.md"] = model_card(
        settings,
        Facts(
            task=source.task,
            round=source.round,
            report=json.loads(source.report),
            training=source.training,
            synthesis=json.loads(source.synthesis),
            generation=source.generation,
            base=base,
            model_id=names.model,
            dataset_id=names.dataset,
        ),
    ).encode()
    content = Content("model", names.model, files)
    refuse_damaged(source.model_dir, content)
    return content


def _export(model_dir: Path, name: str) -> Iterator[tuple[str, Path]]:
    path = model_dir / _EXPORTS[name]
    if path.is_file():
        yield path.name, path
    # The preset is at the root, because `from_preset("hf://owner/name")` looks for it there.
    yield from _folder(path, prefix="" if name == _PRESET else f"{path.name}/")


def _refuse_incomplete(source: Source) -> None:
    needed = list(_NEEDED_FILES)
    if (source.model_dir / _TRAINING_FILE).is_file():
        needed += [path for name, path in _EXPORTS.items() if name in source.exports]
    missing = [name for name in needed if not (source.model_dir / name).exists()]
    if missing:
        raise PushError(
            f"The model at {str(source.model_dir)!r} lacks {', '.join(missing)}, so nothing was "
            "pushed. Train it again: the Trainer's output is incomplete."
        )


def _refuse_unverified(source: Source) -> None:
    written = [name for name, path in _EXPORTS.items() if (source.model_dir / path).exists()]
    unverified = [n for n in written if source.exports.get(n, {}).get("verified") is not True]
    if unverified:
        raise PushError(
            f"The export {', '.join(unverified)} of the model at {str(source.model_dir)!r} is not "
            f"known to be the trained model: `exports` in {_TRAINING_FILE} does not say that it "
            "was verified. Nothing was pushed. Train the model again: the Trainer loads what it "
            "has written, compares it with the model in memory, and records the result there."
        )


def _base_model(settings: PushSettings, source: Source) -> BaseModel:
    backbone = json.loads((source.model_dir / _CONFIG_FILE).read_bytes()).get("class_name", "")
    base = base_model(str(source.training.get("preset", "")), str(backbone))
    if settings.base_model:
        base = dataclasses.replace(base, hub_id=settings.base_model, is_random=False)
    if settings.license:
        known = base.license if base.license and base.license.id == settings.license else None
        own = known or License(settings.license, settings.license_name or settings.license, "")
        base = dataclasses.replace(
            base, license=dataclasses.replace(own, link=settings.license_link or own.link)
        )
    return base


def dataset_content(settings: PushSettings, source: Source, names: Names) -> Content:
    """The synthetic rows as Parquet, how they came about, and the card."""
    files: dict[str, Path | bytes] = {
        f"data/{split}-00000-of-00001.parquet": content
        for split, content in _parquet(source.rows).items()
    }
    files.update(_marker("dataset", source))
    files["synthesis.json"] = source.synthesis
    files["README.md"] = cards.dataset_card(
        source.dataset_card.decode(),
        settings,
        task=source.task,
        splits=list(source.rows),
        model_id=names.model,
    ).encode()
    return Content("dataset", names.dataset or names.model, files)


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
            "title": source.task.title,
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


def _parquet(rows: dict[str, list[dict[str, Any]]]) -> dict[str, bytes]:
    """Each split as a Parquet file; all have the same columns, in the same order."""
    import pyarrow
    from pyarrow import parquet

    # Features of a tf.Example come in any order, and equal rows have to be equal bytes.
    found = {name for split in rows.values() for row in split for name in row}
    names = [*(n for n in _COLUMNS if n in found), *sorted(found - set(_COLUMNS))]
    everything = [{n: row.get(n) for n in names} for split in rows.values() for row in split]
    schema = pyarrow.Table.from_pylist(everything).schema
    files = {}
    for split, its_rows in rows.items():
        buffer = io.BytesIO()
        # Row groups smaller than the default let the Hub's viewer page through the data.
        table = pyarrow.Table.from_pylist(its_rows, schema=schema)
        parquet.write_table(table, buffer, row_group_size=1000)
        files[split] = buffer.getvalue()
    return files
