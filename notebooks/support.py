"""What the notebooks need besides the repository's own code: tables, quiet logs, writing back."""

import ast
import contextlib
import inspect
import logging
import os
import re
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from IPython.display import Markdown
from IPython.utils.capture import capture_output

from core.reports.loop import LoopSummary
from pipeline.progress import ProgressView, progress_view

REPOSITORY = Path(__file__).resolve().parent.parent

_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "output", "docs", "tests")
_LOG_LINES = 30  # of a failed run that are shown


def quiet() -> None:
    """Leave the cells to what they print: silences the libraries that are loaded after it."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is loaded
    warnings.simplefilter("ignore")
    # TensorFlow adds a handler of its own, which writes into cells, where there is none.
    logging.getLogger().addHandler(logging.NullHandler())


@contextlib.contextmanager
def logged(log_file: Path) -> Iterator[ProgressView]:
    """Show the progress of components in the cell, and send all else that they print to a file.

    Args:
        log_file: Is appended to; made where it does not exist.
    """
    with progress_view(log_file, sys.stdout) as view:
        # A kernel's sys.stdout writes to no descriptor, and Beam displays scripts.
        try:
            with capture_output() as printed:
                yield view
        finally:
            with log_file.open("a", encoding="utf-8") as log:
                log.write(printed.stdout + printed.stderr)


def table(rows: Iterable[Mapping[str, Any]], width: int = 120) -> Markdown:
    """Rows as a Markdown table, which Jupyter and the rendered pages show alike.

    Args:
        rows: One mapping a row; the first one's keys are the columns.
        width: Characters of a cell at most; the rest is left out.
    """
    rows = list(rows)
    columns = list(rows[0]) if rows else ["nothing"]
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return Markdown(
        "\n".join(f"| {' | '.join(_cell(value, width) for value in line)} |" for line in lines)
    )


def _cell(value: Any, width: int) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    short = textwrap.shorten(text, width, placeholder=" …")
    if text and (not short or short == "…"):  # blank, or one long word
        short = text[:width] if text.strip() else "(blank)"
    return re.sub(r"([|<>*_`$])", r"\\\1", short)


def copy_repository(target: Path) -> Path:
    """A fresh copy of the code and data of this repository, to try edits in.

    Args:
        target: Folder of the copy; an earlier copy there is removed.

    Raises:
        FileExistsError: The folder holds something else.
    """
    if target.exists():
        if not (target / "local_runner.py").exists():
            raise FileExistsError(f"{target} is no copy of the repository. Choose another folder.")
        shutil.rmtree(target)
    shutil.copytree(REPOSITORY, target, ignore=_NOT_COPIED)
    return target


def replace_function(file: Path, function: Callable[..., Any]) -> None:
    """Write a function that was edited in a notebook over the one of the same name in a file.

    Args:
        file: A Python file.
        function: Defined in a cell of its own, or anywhere that `inspect` finds its source.

    Raises:
        LookupError: The file defines no function of that name at its top level.
    """
    source = file.read_text(encoding="utf-8")
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    ]
    if not found:
        raise LookupError(f"{file} defines no function {function.__name__!r} to be replaced.")
    lines = source.splitlines(keepends=True)
    edited = inspect.getsource(function).rstrip("\n") + "\n"
    text = "".join([*lines[: found[0].lineno - 1], edited, *lines[found[0].end_lineno :]])
    ast.parse(text)
    file.write_text(text, encoding="utf-8")


def replace_text(file: Path, old: str, new: str) -> None:
    """Exchange a text that stands exactly once in a file.

    Raises:
        LookupError: It stands there never or several times.
    """
    text = file.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise LookupError(f"{file} holds {old!r} {text.count(old)} times instead of once.")
    file.write_text(text.replace(old, new), encoding="utf-8")


def run_pipeline(
    repository: Path, preset: str, output: Path, settings: Sequence[str] = ()
) -> LoopSummary:
    """Run the local runner of a repository, as `make run` does, and read its summary.

    Args:
        repository: This repository or a copy of it.
        preset: The preset.
        output: Folder that the run writes to; it may lie anywhere.
        settings: `key.path=value` overrides.

    Returns:
        What `summary.json` holds.

    Raises:
        RuntimeError: The run failed; the message ends with its last lines.
    """
    overrides = [f"output_dir={output.resolve()}", *settings]
    command = [sys.executable, "local_runner.py", "run", "--preset", preset]
    command += [word for override in overrides for word in ("--set", override)]
    done = subprocess.run(
        command,
        cwd=repository,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-_LOG_LINES:])
        raise RuntimeError(f"The pipeline in {repository} ended with {done.returncode}:\n{last}")
    return LoopSummary.read(str(output / "summary.json"))
