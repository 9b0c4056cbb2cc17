"""Notebooks as the tests run them."""

import json
from pathlib import Path

import pytest

from notebooks.render import execute

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def executed(tmp_path):
    """Runs a notebook with other parameters and returns what expressions are at its end."""

    def executed(name, expressions, until="", **parameters):
        wanted = ", ".join(f"{key!r}: {expression}" for key, expression in expressions.items())
        notebook = execute(
            name,
            {"OUTPUT": str(tmp_path / "output"), **parameters},
            last_cell=f"import json\nprint(json.dumps({{{wanted}}}))",
            until=until,
        )
        return notebook, json.loads(notebook.cells[-1].outputs[-1].text)

    return executed


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def errors_in(notebook):
    """What went wrong or was written to standard error, which should be nothing."""
    return [
        output
        for output in _outputs(notebook)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def plots_in(notebook):
    return [output for output in _outputs(notebook) if "image/png" in output.get("data", {})]
