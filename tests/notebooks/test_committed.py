"""What the notebooks must be as files, without running them."""

import ast
import re

import pytest

from notebooks.render import execute, names, read, tagged
from tests.notebooks.conftest import REPOSITORY

DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def source_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


@pytest.fixture(params=names())
def notebook(request):
    return read(request.param)


def test_there_are_seven():
    assert [name[:2] for name in names()] == ["01", "02", "03", "04", "05", "06", "07"]


def test_outputs_are_not_committed(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], cell.source
            assert cell.execution_count is None, cell.source


def test_it_starts_with_what_it_is_about_and_how_to_open_it(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert tagged(notebook, "badges") == [notebook.cells[1]]
    assert tagged(notebook, "setup") == [notebook.cells[2]]
    assert notebook.cells[2].source == tagged(read(names()[0]), "setup")[0].source


def test_what_a_reader_changes_is_one_cell(notebook):
    (cell,) = tagged(notebook, "parameters")
    names = [target.id for node in ast.parse(cell.source).body for target in node.targets]
    assert "OUTPUT" in names


@pytest.fixture(scope="module")
def repository_names():
    """Functions and classes of the repository's code, by name."""
    files = [
        f
        for part in ("components", "core", "judging", "models", "pipeline", "task")
        for f in (REPOSITORY / part).rglob("*.py")
    ]
    return {
        node.name
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, DEFINITIONS)
    }


def test_it_imports_the_repository_and_defines_nothing_twice(notebook, repository_names):
    tree = ast.parse(source_of(notebook))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert any(module.startswith(("components.", "pipeline.")) for module in imported)
    edits = {
        node.name
        for cell in tagged(notebook, "edit")
        for node in ast.parse(cell.source).body
        if isinstance(node, DEFINITIONS)
    }
    defined = {node.name for node in tree.body if isinstance(node, DEFINITIONS)}
    assert not (defined - edits) & repository_names
    assert edits <= repository_names, "an edit replaces what is there"


def test_it_has_a_plot(notebook):
    assert "plt.subplots(" in source_of(notebook)


def test_a_parameter_that_a_notebook_lacks_is_an_error():
    with pytest.raises(KeyError, match=r"no parameter \['PRESETS'\].*OUTPUT"):
        execute("01_coverage_dataset", {"PRESETS": "smoke"})


def test_rendered_pages_are_small_and_hold_all_plots():
    pages = REPOSITORY / "docs" / "notebooks"
    files = [path for path in pages.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    for name in names():
        page = (pages / f"{name}.md").read_text(encoding="utf-8")
        linked = set(re.findall(r"\]\((\S+\.png)\)", page))
        assert linked
        assert linked == {str(path.relative_to(pages)) for path in files if name in path.parts[-2]}
        assert str(REPOSITORY) not in page
        assert "Traceback" not in page


@pytest.mark.parametrize("name", names())
def test_a_rendered_page_is_of_the_notebook_as_it_is(name):
    page = (REPOSITORY / "docs" / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    cells = [cell for cell in read(name).cells if cell not in tagged(read(name), "badges")]
    stale = [cell.id for cell in cells if cell.source.strip() not in page]
    assert not stale, f"`make notebooks` was not run after these cells changed: {stale}"
    assert "![Open in Colab]" not in page, "an image of another server"
    assert "[Open in Colab](https://colab." in page
