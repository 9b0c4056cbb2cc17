"""A task of one's own: its folder and preset, and what a run of it would stumble over."""

import json
import shutil
from pathlib import Path

from components.coverage_example_gen.reader import read_coverage
from components.errors import UserError
from components.llm_evaluator.rates import wilson
from components.records import CoverageRow
from components.service_llm.secrets import check_environment
from components.task import Task
from pipeline.config import PRESET_DIR, Config

SERVICES = ("gemini", "gemini-vertex", "openai-compatible")
COVERAGE_ROOT = Path("data") / "coverage"
_PAIRS_SUFFIXES = (".jsonl", ".csv")
_TO_REPLACE = "REPLACE THIS:"
_EXAMPLES = tuple(
    {
        "id": f"{split}-1",
        "prompt": f"{_TO_REPLACE} what a user sends; a row of the {split} split.",
        "output": f"{_TO_REPLACE} the answer that the service LLM gives and you are content with.",
        "split": split,
        "tags": ["easy"],
    }
    for split in ("seed", "holdout")
)
_FEW_HOLDOUT_ROWS = 40  # the 95 % interval of 80 % is wider than 24 points
_PRESET = """\
# The task {name}. Check it: python local_runner.py check --preset {name}.yaml
# Run it: make run PRESET={name}.yaml
# All values that can be set here: python local_runner.py config --preset {name}.yaml
#
{about}extends: {service}
name: {dashed}
coverage_dir: {folder}
output_dir: output/{name}
task:
  name: {name}
  instruction: |
    {instruction}
{to_set}"""
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


def create_task(name: str, service: str, pairs: str | None) -> list[Path]:
    """Write the coverage folder and the preset of a new task.

    Args:
        name: The task's name, as in `components.task.Task`.
        service: The preset that the new one extends, of `SERVICES`.
        pairs: A `*.jsonl` or `*.csv` file with the coverage pairs, which is copied; None for two
            rows to be replaced.

    Returns:
        What was written.

    Raises:
        UserError: The name or the file cannot be used, or something of that name is there already.
    """
    try:
        task = Task(name=name, instruction=f"{_TO_REPLACE} what a good answer is.")
    except ValueError as error:
        raise UserError(
            f"{name!r} cannot be a task's name. Use lower-case letters, digits and _, at most 40, "
            "a letter first: my_task."
        ) from error
    folder, preset = COVERAGE_ROOT / name, Path(f"{name}.yaml")
    for path in (folder, preset):
        if path.exists():
            raise UserError(
                f"{str(path)!r} is there already and is not overwritten. Take another name, or "
                "remove it."
            )
    source = Path(pairs) if pairs else None
    if source and (source.suffix not in _PAIRS_SUFFIXES or not source.is_file()):
        raise UserError(
            f"There is no file {pairs!r} with pairs. Give a *.jsonl or *.csv file; README.md shows "
            "what a row holds."
        )
    folder.mkdir(parents=True)
    target = folder / f"pairs{source.suffix if source else '.jsonl'}"
    if source:
        shutil.copyfile(source, target)
    else:
        text = "".join(json.dumps(row) + "\n" for row in _EXAMPLES)
        target.write_text(text, encoding="utf-8")
    preset.write_text(_preset_text(task, service, folder), encoding="utf-8")
    return [target, preset]


def _preset_text(task: Task, service: str, folder: Path) -> str:
    about = (PRESET_DIR / f"{service}.yaml").read_text(encoding="utf-8").split("extends:")[0]
    return _PRESET.format(
        name=task.name,
        dashed=task.name.replace("_", "-"),
        about=about,
        service=service,
        folder=folder,
        instruction=task.instruction,
        to_set=_TO_SET[service],
    )


def check_task(config: Config) -> str:
    """What is known of a task before anything is sent.

    Args:
        config: The configuration of a run.

    Returns:
        Lines about the rows and what the coverage rate can tell with them.

    Raises:
        UserError: A row is bad or still to be replaced, or the service LLM cannot be reached with
            what the environment holds.
    """
    rows = read_coverage(config.coverage_dir)
    _raise_if_to_replace(config, rows)
    for settings in config.services.values():
        check_environment(settings)
    n_holdout = sum(row.split == "holdout" for row in rows)
    interval = wilson(0.8, n_holdout)
    width = 100 * (interval.high - interval.low)
    tags = sorted({tag for row in rows for tag in row.tags})
    lines = [
        f"{len(rows)} pairs: {len(rows) - n_holdout} seed, {n_holdout} holdout; "
        f"tags: {', '.join(tags) or 'none'}.",
        f"Longest prompt {max(len(row.prompt) for row in rows):,} characters, longest output "
        f"{max(len(row.output) for row in rows):,}.",
        f"A coverage rate of 80 % on the holdout will have a 95 % interval of {width:.0f} points.",
    ]
    if n_holdout < _FEW_HOLDOUT_ROWS:
        lines.append(f"Few rows: with {_FEW_HOLDOUT_ROWS} or more of the holdout one can tell.")
    return "\n".join(lines)


def _raise_if_to_replace(config: Config, rows: list[CoverageRow]) -> None:
    left = [row.id for row in rows if _TO_REPLACE in row.prompt + row.output]
    places = [f"row {row_id!r} of {config.coverage_dir}" for row_id in left]
    if _TO_REPLACE in config.task.instruction:
        places.append("task.instruction of the preset")
    if places:
        raise UserError(
            f"{len(places)} texts are still to be written ({_TO_REPLACE!r}): {', '.join(places)}."
        )
