"""Scaffold a new task: its coverage folder, made of a team's own pairs, and its preset."""

import dataclasses
import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from core.conversation import chat_messages, has_turns
from core.errors import UserError
from core.records import HOLDOUT_SPLIT, SEED_SPLIT, TEST_SPLIT, CoverageRow
from pipeline.placeholders import TO_REPLACE
from pipeline.preset_files import PRESET_DIR
from task.coverage.logged import write_logged
from task.coverage.reader import read_coverage
from task.importers import read_pairs
from task.importers.dataset import Dataset, make_dataset
from task.task import Task

if TYPE_CHECKING:
    from task.sampling import Embed

SERVICES = ("gemini", "gemini-vertex", "openai-compatible")
COVERAGE_ROOT = Path("data") / "coverage"
_EXAMPLES = tuple(
    {
        "id": f"{split}-1",
        "prompt": f"{TO_REPLACE} what a user sends; a row of the {split} split.",
        "output": f"{TO_REPLACE} the answer that the service LLM gives and you are content with.",
        "split": split,
        "tags": ["easy"],
    }
    for split in ("seed", "holdout")
)
_PRESET = """\
# The task {name}. Check it: understudy check --preset {name}.yaml
# Run it: make run PRESET={name}.yaml
# Every setting, explained: understudy config --explain
#
{about}extends: {service}
name: {dashed}
coverage_dir: {folder}
output_dir: output/{name}
task:
  name: {name}
  instruction: {instruction}{to_set}"""
_TRAIN_ON_REST = """\
synth:
  train_on_rest: true
  # score_logged: false  # without a request to the service LLM for each of these rows
"""
# What only the user knows, where a preset cannot have it right.
_TO_SET = {
    "gemini": "",
    "gemini-vertex": "# service_llm:\n#   vertex_project: the project of Google Cloud\n",
    "openai-compatible": (
        "service_llm:\n"
        "  base_url: http://127.0.0.1:8080/v1\n"
        "  model: default\n"
        "  max_concurrency: 4  # as many requests as the server answers at once\n"
    ),
}


@dataclasses.dataclass(frozen=True)
class PairsSource:
    """Where the pairs of a new task are.

    Attributes:
        path: File or folder.
        shape: Name of an importer; None finds it.
        prompt_field: With `output_field`, the columns of a table that has no known shape.
        output_field: See `prompt_field`.
        sample: Rows to pick; None takes all.
        train_on_rest: Whether the pairs that are not picked become training rows.
    """

    path: str
    shape: str | None = None
    prompt_field: str | None = None
    output_field: str | None = None
    sample: int | None = None
    train_on_rest: bool = False


class Created(NamedTuple):
    """What `create_task` wrote, and what it understood of the pairs.

    Attributes:
        paths: Files written; the preset is the last.
        notes: Lines for the user.
    """

    paths: list[Path]
    notes: list[str]


def create_task(
    name: str, service: str, pairs: PairsSource | None, embed: "Embed | None" = None
) -> Created:
    """Write the coverage folder and the preset of a new task.

    Args:
        name: The task's name, as in `task.task.Task`.
        service: The preset that the new one extends, of `SERVICES`.
        pairs: The coverage pairs; None for two rows to be replaced.
        embed: An embedding model that a sample is picked with; None for TF-IDF.

    Raises:
        UserError: The name or the pairs cannot be used, or something of that name exists already.
            Nothing is written then.
    """
    try:
        task = Task(name=name, instruction=f"{TO_REPLACE} what a good answer is.")
    except ValueError as error:
        raise UserError(
            f"{name!r} cannot be a task's name. Use lower-case letters, digits and _, at most 40, "
            "a letter first: my_task."
        ) from error
    folder, preset = COVERAGE_ROOT / name, Path(f"{name}.yaml")
    for path in (folder, preset):
        if path.exists():
            raise UserError(f"{str(path)!r} already exists. Choose another name, or delete it.")
    if pairs and pairs.train_on_rest and pairs.sample is None:
        raise UserError(
            "--train-on-rest needs --sample N: without it all pairs are coverage pairs, and there "
            "is no rest to train on."
        )
    rows: Sequence[Mapping[str, object]] = _EXAMPLES
    rest: Sequence[CoverageRow] = ()
    notes: list[str] = []
    if pairs:
        imported = read_pairs(
            pairs.path,
            shape=pairs.shape,
            prompt_field=pairs.prompt_field,
            output_field=pairs.output_field,
        )
        try:
            dataset = make_dataset(imported.pairs, size=pairs.sample, embed=embed)
        except UserError as error:
            # Rows that were refused may be why there are too few.
            refused = imported.lines() if imported.refusals else []
            raise UserError("\n  ".join([str(error), *refused])) from error
        rows = [_fields(row) for row in dataset.rows]
        notes = [*imported.lines(), *dataset.notes, _split_line(dataset)]
        if pairs.train_on_rest:
            rest = dataset.rest
            notes.append(f"{len(rest):,} further pairs to train on.")
        if dataset.instruction:
            task = Task(name=name, instruction=dataset.instruction)
            notes.append("The system message that all pairs share is the task's instruction.")
    targets = [_write_rows(folder, rows)]
    if rest:
        targets.append(write_logged(folder, rest))
    text = _preset_text(task, service, folder) + (_TRAIN_ON_REST if rest else "")
    preset.write_text(text, encoding="utf-8")
    return Created([*targets, preset], notes)


def _fields(row: CoverageRow) -> dict[str, object]:
    """Return a row as a person would write it: a conversation as its messages."""
    fields: dict[str, object] = dataclasses.asdict(row)
    if not has_turns(row.prompt):
        return fields
    return {("messages" if k == "prompt" else k): v for k, v in fields.items()} | {
        "messages": chat_messages(row.prompt)
    }


def _split_line(dataset: Dataset) -> str:
    counts = Counter(row.split for row in dataset.rows)
    test = f", {counts[TEST_SPLIT]} test" if counts[TEST_SPLIT] else ""
    return (
        f"{len(dataset.rows)} rows: {counts[SEED_SPLIT]} seed, {counts[HOLDOUT_SPLIT]} holdout"
        f"{test}."
    )


def _write_rows(folder: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write the rows and read them as a run will; a folder that a run would refuse is removed."""
    folder.mkdir(parents=True)
    target = folder / "pairs.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    try:
        target.write_text("".join(lines), encoding="utf-8")
        read_coverage(str(folder))
    except BaseException:
        shutil.rmtree(folder)
        raise
    return target


def _preset_text(task: Task, service: str, folder: Path) -> str:
    about = (PRESET_DIR / f"{service}.yaml").read_text(encoding="utf-8").split("extends:")[0]
    return _PRESET.format(
        name=task.name,
        dashed=task.name.replace("_", "-"),
        about=about,
        service=service,
        folder=folder,
        instruction=_yaml_text(task.instruction.strip()),
        to_set=_TO_SET[service],
    )


def _yaml_text(text: str) -> str:
    """Write the text as a YAML block, or quoted where a block would not preserve it."""
    block = "|\n" + textwrap.indent(text, "    ") + "\n"
    if yaml.safe_load(f"k:\n  i: {block}")["k"]["i"].strip() == text:
        return block
    return json.dumps(text, ensure_ascii=True) + "\n"
