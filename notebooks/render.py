"""Runs the notebooks and writes them with their outputs as Markdown: `python -m notebooks.render`.

A notebook's parameters are the cell that is tagged `parameters`, as papermill has it.
"""

import argparse
import ast
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from notebooks.support import REPOSITORY

FOLDER = REPOSITORY / "notebooks"
RENDERED = REPOSITORY / "docs" / "notebooks"
_SCRATCH = "output/rendered"
_LINKED_IMAGE = re.compile(r"\[!\[([^]]*)\]\(https?://[^)]*\)\]\(")
_CELL_SECONDS = 900  # on a machine that is busy with other things, too


def names() -> list[str]:
    """The notebooks, in the order in which they are read."""
    return sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb"))


def read(name: str) -> NotebookNode:
    """A notebook as it is in the repository."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def execute(
    name: str, parameters: Mapping[str, Any], last_cell: str = "", until: str = ""
) -> NotebookNode:
    """Run a notebook from top to bottom.

    Args:
        name: The notebook, without `.ipynb`.
        parameters: Values that replace those of its cell of parameters.
        last_cell: Code that is run at the end, in a cell of its own.
        until: Tag of the cell to stop after; empty for all cells.

    Returns:
        The notebook with its outputs; the values of `parameters` are not shown in it.

    Raises:
        KeyError: The notebook has no such parameter.
        CellExecutionError: A cell raised.
    """
    notebook = read(name)
    (cell,) = tagged(notebook, "parameters")
    known = {target.id for node in ast.parse(cell.source).body for target in node.targets}
    unknown = parameters.keys() - known
    if unknown:
        raise KeyError(f"{name} has no parameter {sorted(unknown)}; it has {sorted(known)}.")
    chosen = new_code_cell("\n".join(f"{key} = {value!r}" for key, value in parameters.items()))
    notebook.cells.insert(notebook.cells.index(cell) + 1, chosen)
    if until:
        (last,) = tagged(notebook, until)
        del notebook.cells[notebook.cells.index(last) + 1 :]
    if last_cell:
        notebook.cells.append(new_code_cell(last_cell))
    NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    notebook.cells.remove(chosen)
    return notebook


def render(name: str) -> None:
    """Run a notebook from scratch and write it to `docs/notebooks`, with its plots beside it."""
    scratch = REPOSITORY / _SCRATCH / name
    shutil.rmtree(scratch, ignore_errors=True)
    notebook = execute(name, {"OUTPUT": f"{_SCRATCH}/{name}"})
    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(
        notebook, {"output_files_dir": f"{name}_files", "unique_key": name}
    )
    for earlier in (RENDERED / f"{name}_files").glob("*"):
        earlier.unlink()
    for file, content in resources["outputs"].items():
        target = RENDERED / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (RENDERED / f"{name}.md").write_text(_readable(text), encoding="utf-8")


def _readable(text: str) -> str:
    """The text without what is of this machine or of another server, and needless white space."""
    local = text.replace(f"{REPOSITORY}/", "").replace(_SCRATCH, "output/notebooks")
    local = _LINKED_IMAGE.sub(r"[\1](", local)
    lines = "\n".join(line.rstrip() for line in local.replace("![png]", "![plot]").splitlines())
    return re.sub(r"\n{4,}", "\n\n\n", lines).strip() + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Render the notebooks that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="render", description=__doc__)
    parser.add_argument("names", nargs="*", default=names(), help="default: all of them")
    for name in parser.parse_args(argv).names:
        started = time.monotonic()
        render(name)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
