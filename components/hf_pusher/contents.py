"""Assembles what the model and dataset repositories hold; transfers nothing."""

import dataclasses
import functools
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from components.examples_io import Features
from components.hf_pusher.base_terms import base_of, terms_files
from components.hf_pusher.checksums import refuse_damaged
from components.hf_pusher.errors import PushError
from components.hf_pusher.hub import Content
from components.hf_pusher.settings import PushSettings
from core import artifact_files
from core.base_model import BaseModel, License
from core.conversation import has_turns
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import TUNED, CoverageReport
from core.reports.loop import RepoKind
from core.reports.synthesis import SynthesisRecord
from core.reports.training import ExportsRecord, PromptFormat, TrainingRecord
from core.synthetic_records import LOGGED
from reports.cards.dataset_card import complete_card
from reports.cards.model_card import ModelCard, render_model_card
from task.privacy import PrivacySettings
from task.task import Task

EVALUATION_FOLDER = "evaluation"

_CONFIG_FILE = f"{artifact_files.PRESET_FOLDER}/config.json"
# Where a model is written, by the name in the record of verifications: by the Trainer,
_TRAINED = {"preset": artifact_files.PRESET_FOLDER, "adapter": artifact_files.ADAPTER}
# and by the Exporter.
_EXPORTS = {
    "transformers": "transformers",
    "saved_model": "saved_model",
    "gguf": "gguf",
}
_NEEDED_FILES = (artifact_files.TRAINING, artifact_files.GENERATION, _CONFIG_FILE)
_MAX_EXAMPLE_CHARACTERS = 600  # of prompt and response in a card
# The order of the dataset's columns; others follow by name.
_COLUMNS = ("id", "prompt", "output", "provenance", "round")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a round left behind for the push.

    Attributes:
        task: The task that the model takes over.
        round: Number of the round, from 1.
        model_dir: Local folder that the Trainer wrote.
        exports_dir: Local folder that the Exporter wrote; without files where no format was wanted.
        report: The evaluation.
        verdicts: Content of the verdicts' file.
        synthesis: The generation of the data.
        dataset_card: The card next to the rows.
        rows: The synthetic rows by split.
        privacy: What was done about personal data in the coverage rows.
    """

    task: Task
    round: int
    model_dir: Path
    exports_dir: Path
    report: CoverageReport
    verdicts: bytes
    synthesis: SynthesisRecord
    dataset_card: str
    rows: Mapping[str, Sequence[Features]]
    privacy: PrivacySettings = dataclasses.field(default_factory=PrivacySettings)

    @property
    def has_logged(self) -> bool:
        """Whether logged exchanges of real users are among the rows, edited or not."""
        return LOGGED in self.synthesis.sources

    @functools.cached_property
    def training(self) -> TrainingRecord:
        """What the Trainer recorded; among its `exports` also those that the Exporter recorded."""
        record = TrainingRecord.read(str(self.model_dir / artifact_files.TRAINING))
        file = self.exports_dir / artifact_files.EXPORTS
        if not file.is_file():
            return record
        exported = ExportsRecord.model_validate_json(file.read_bytes()).root
        return record.model_copy(update={"exports": {**record.exports, **exported}})

    @property
    def paths(self) -> dict[str, Path]:
        """By the name of an export, where it is or would be."""
        trained = {name: self.model_dir / path for name, path in _TRAINED.items()}
        return trained | {name: self.exports_dir / path for name, path in _EXPORTS.items()}

    @functools.cached_property
    def prompt_format(self) -> PromptFormat:
        """How the model is prompted."""
        text = (self.model_dir / artifact_files.GENERATION).read_text(encoding="utf-8")
        return PromptFormat.model_validate_json(text)


@dataclasses.dataclass(frozen=True)
class Names:
    """The repositories of a push, as `owner/name`.

    Attributes:
        model: The model's.
        dataset: The dataset's; None where it is not pushed.
        is_local: Whether they are folders, which no name on the Hub leads to.
    """

    model: str
    dataset: str | None
    is_local: bool = False


def model_content(settings: PushSettings, source: Source, names: Names) -> Content:
    """Assemble all exports of the model, the training record, the evaluation and the card.

    Raises:
        PushError: The Model artifact is incomplete or damaged, links to elsewhere, or an export of
            it was not verified.
    """
    _refuse_incomplete(source)
    _refuse_unverified(source)
    files: dict[str, Path | bytes] = {
        name: source.model_dir / name
        for name in (artifact_files.TRAINING, artifact_files.GENERATION)
    }
    if (source.exports_dir / artifact_files.EXPORTS).is_file():
        files[artifact_files.EXPORTS] = source.exports_dir / artifact_files.EXPORTS
    for name in source.training.exports:
        files.update(_export(source.paths[name], name))
    files.update(evaluation_files(source))
    files.update(marker_file("model", source))
    base = base_of_source(settings, source)
    files.update(terms_files(settings, base))
    card = ModelCard(
        title=source.task.title,
        instruction=source.task.instruction,
        report=source.report,
        training=source.training,
        synthesis=source.synthesis,
        prompt_format=source.prompt_format,
        base=base,
        model_id=names.model,
        dataset_id=names.dataset,
        languages=settings.languages,
        example=_example(source.verdicts),
        is_local=names.is_local,
    )
    files[artifact_files.CARD] = render_model_card(card).encode()
    _refuse_links_out(files, source)
    content = Content("model", names.model, files)
    refuse_damaged(source.model_dir, content, artifact_dir=source.model_dir.parent)
    refuse_damaged(source.exports_dir, content, artifact_dir=source.exports_dir)
    return content


def _export(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
    # The preset is at the root, because `from_preset("hf://owner/name")` looks for it there.
    yield from _folder(path, prefix="" if name == "preset" else f"{path.name}/")


def _refuse_incomplete(source: Source) -> None:
    needed = [source.model_dir / name for name in _NEEDED_FILES]
    if (source.model_dir / artifact_files.TRAINING).is_file():
        needed += [path for name, path in source.paths.items() if name in source.training.exports]
    missing = [
        path.relative_to(folder).as_posix()
        for folder in (source.model_dir, source.exports_dir)
        for path in needed
        if path.is_relative_to(folder) and not path.exists()
    ]
    if missing:
        raise PushError(
            f"The model at {str(source.model_dir)!r} lacks {', '.join(missing)}, so nothing was "
            "pushed. Train it again: the Trainer's output is incomplete."
        )


def _refuse_unverified(source: Source) -> None:
    written = [name for name, path in source.paths.items() if path.exists()]
    exports = source.training.exports
    unverified = [n for n in written if n not in exports or not exports[n].verified]
    if unverified:
        raise PushError(
            f"The export {', '.join(unverified)} of the model at {str(source.model_dir)!r} is not "
            f"known to be the trained model: {artifact_files.TRAINING} or {artifact_files.EXPORTS} "
            "does not say that it was verified. Nothing was pushed. Train the model again: what is "
            "written is loaded and compared with the model in memory, and the result is recorded "
            "there."
        )


def _refuse_links_out(files: Mapping[str, Path | bytes], source: Source) -> None:
    """Raise where a link would have something pushed that is no part of the model."""
    roots = [folder.resolve() for folder in (source.model_dir, source.exports_dir)]
    for name, file in files.items():
        if isinstance(file, bytes):
            continue
        if not any(file.resolve().is_relative_to(root) for root in roots):
            raise PushError(
                f"The file {name!r} of the model at {str(source.model_dir)!r} is a link to "
                f"{str(file.resolve())!r}, outside of it. Nothing was pushed. Remove the link, or "
                "put the file in its place."
            )


def base_of_source(settings: PushSettings, source: Source) -> BaseModel:
    """Return what is known of the model that a round's training began with.

    Raises:
        PushError: The Model artifact is incomplete.
    """
    _refuse_incomplete(source)
    backbone = json.loads((source.model_dir / _CONFIG_FILE).read_bytes()).get("class_name", "")
    return base_of(settings, source.training.preset, str(backbone))


def dataset_content(settings: PushSettings, source: Source, names: Names) -> Content:
    """Assemble the synthetic rows as Parquet, the record of their generation, and the card."""
    files: dict[str, Path | bytes] = {
        f"data/{split}-00000-of-00001.parquet": content
        for split, content in _parquet(source.rows).items()
    }
    files.update(marker_file("dataset", source))
    files[artifact_files.SYNTHESIS] = source.synthesis.to_json().encode()
    files[artifact_files.CARD] = complete_card(
        source.dataset_card,
        instruction=source.task.instruction,
        languages=settings.languages,
        splits=list(source.rows),
        model_id=names.model,
        is_local=names.is_local,
        license=_dataset_license(settings),
    ).encode()
    return Content("dataset", names.dataset or names.model, files)


def _dataset_license(settings: PushSettings) -> License | None:
    if settings.dataset_license is None:
        return None
    name = settings.dataset_license_name or settings.dataset_license
    return License(settings.dataset_license, name, settings.dataset_license_link or "")


def _example(verdicts: bytes) -> VerdictRow | None:
    """Return a short answer of the tuned model, a covered one where there is one."""
    rows = read_rows(verdicts.decode(), artifact_files.VERDICTS, VerdictRow.from_json)
    own = [row for row in rows if row.model == TUNED and not has_turns(row.prompt)]
    short = [row for row in own if len(row.prompt) + len(row.response) <= _MAX_EXAMPLE_CHARACTERS]
    return next((row for row in short if row.covered), next(iter(short), None))


def evaluation_files(source: Source) -> dict[str, bytes]:
    """Return the report and the verdicts, which model and Space hold."""
    return {
        f"{EVALUATION_FOLDER}/{artifact_files.COVERAGE_REPORT}": source.report.to_json().encode(),
        f"{EVALUATION_FOLDER}/{artifact_files.VERDICTS}": source.verdicts,
    }


def marker_file(kind: RepoKind, source: Source) -> dict[str, bytes]:
    """Return the file by which a later push knows a repository as its own."""
    value = {"pushed_by": "understudy", "kind": kind, "task": source.task.name}
    return {artifact_files.MARKER: json_bytes({**value, "round": source.round})}


def _folder(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield prefix + path.relative_to(folder).as_posix(), path


def json_bytes(value: Mapping[str, object]) -> bytes:
    """Write an object as the content of a JSON file."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _parquet(rows: Mapping[str, Sequence[Features]]) -> dict[str, bytes]:
    """Write each split as a Parquet file; all have the same columns, in the same order."""
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
