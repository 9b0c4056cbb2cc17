"""What a component's version depends on, in a small repository."""

import pytest

from pipeline.code_version import CodeGraph

FILES = {
    "part/__init__.py": "",
    "part/executor.py": """
import json
from typing import TYPE_CHECKING

from part import helper
from other.pieces import used

if TYPE_CHECKING:
    from other.pieces import for_types


def run():
    import late.imported
    from . import beside
""",
    "part/helper.py": "from part.prompts_of import TEXT\n",
    "part/beside.py": "",
    "part/unused.py": "",
    "part/prompts_of.py": """
from pathlib import Path

_HERE = Path(__file__).resolve().parent
TEXT = (_HERE / "prompts" / f"{'judge'}.txt").read_text()
TABLE = Path(__file__).with_name("table.yaml")
""",
    "part/prompts/judge.txt": "Judge.\n",
    "part/table.yaml": "a: 1\n",
    "other/__init__.py": """
def __getattr__(name):
    from other import on_demand

    return getattr(on_demand, name)
""",
    "other/on_demand.py": "",
    "other/pieces/__init__.py": "",
    "other/pieces/used.py": 'LOADED = {"a": "plugins.first:Make", "b": "no.such.module"}\n',
    "other/pieces/for_types.py": "",
    "late/__init__.py": "",
    "late/imported.py": "",
    "plugins/__init__.py": "",
    "plugins/first.py": """
import jinja2

PAGES = jinja2.PackageLoader("pages")
""",
    "pages/__init__.py": "",
    "pages/templates/page.html": "<p>",
    "pages/other/page.html": "<p>",
    "asks/__init__.py": "from other import Something\n",
}
USED = {
    "part/__init__.py",
    "part/executor.py",
    "part/helper.py",
    "part/beside.py",
    "part/prompts_of.py",
    "part/prompts/judge.txt",
    "part/table.yaml",
    "other/__init__.py",
    "other/pieces/__init__.py",
    "other/pieces/used.py",
    "late/__init__.py",
    "late/imported.py",
    "plugins/__init__.py",
    "plugins/first.py",
    "pages/__init__.py",
    "pages/templates/page.html",
}
ROOT = "part.executor.run"


@pytest.fixture
def repository(tmp_path):
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path


def version(repository, *names):
    return CodeGraph(repository).version(*(names or [ROOT]))


def test_what_is_imported_named_by_a_string_or_read_counts(repository):
    assert set(CodeGraph(repository).files(ROOT)) == USED


@pytest.mark.parametrize("file", sorted(FILES))
def test_an_edit_counts_where_the_file_is_used(repository, file):
    before = version(repository)
    (repository / file).write_text(FILES[file] + "\n")
    assert (version(repository) != before) == (file in USED)


@pytest.mark.parametrize("file", sorted(USED - {"part/executor.py"}))
def test_a_file_that_is_deleted_counts(repository, file):
    before = version(repository)
    (repository / file).unlink()
    assert version(repository) != before


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("part/prompts/answer.txt", True),
        ("part/helper/__init__.py", True),  # a package hides a module of the same name
        ("new.py", False),
        ("part/new.py", False),
        ("pages/templates/__pycache__/page.pyc", False),
    ],
)
def test_a_file_that_is_added_counts_where_it_is_used(repository, file, counts):
    before = version(repository)
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text("")
    assert (version(repository) != before) == counts


def test_what_a_package_loads_on_demand_counts_for_those_who_ask_for_it(repository):
    assert "other/on_demand.py" in CodeGraph(repository).files("asks")
    assert "other/on_demand.py" not in CodeGraph(repository).files("other")


def test_a_data_file_may_be_named_itself(repository):
    before = version(repository, "pages/other/page.html")
    (repository / "pages/other/page.html").write_text("<b>")
    assert version(repository, "pages/other/page.html") != before


@pytest.mark.parametrize("name", ["gone", "gone.module", "gone/file.txt"])
def test_a_name_of_nothing_is_refused(repository, name):
    with pytest.raises(LookupError, match=name):
        version(repository, name)
