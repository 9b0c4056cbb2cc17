"""The links that open a notebook, and the cell that fetches the repository, name one repository."""

import shutil

import nbformat
import pytest

from notebooks import links
from notebooks.render import FOLDER, names, read, tagged

URL = "https://github.com/some-team/our.fork"


@pytest.mark.parametrize("name", names())
def test_badges_and_first_cell_name_the_same_repository(name):
    notebook = read(name)
    committed = nbformat.writes(notebook)
    (setup,) = tagged(notebook, links.SETUP_TAG)
    (url,) = links._ASSIGNMENT.findall(setup.source)
    links.point_to(notebook, f"{name}.ipynb", url.split('"')[1])
    assert nbformat.writes(notebook) == committed


def test_one_command_points_all_notebooks_at_a_fork(tmp_path, monkeypatch, capsys):
    for file in FOLDER.glob("*.ipynb"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(links, "_FOLDER", tmp_path)
    links.main([f"{URL}.git"])
    assert capsys.readouterr().out.split() == [f"{name}.ipynb" for name in names()]
    for name in names():
        before = read(name)
        after = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
        changed = [a for a, b in zip(after.cells, before.cells, strict=True) if a != b]
        badges, setup = changed
        assert (
            f"colab.research.google.com/github/some-team/our.fork/blob/main/notebooks/{name}"
            in (badges.source)
        )
        assert f"some-team%2Four.fork%2Fmain%2Fnotebooks%2F{name}.ipynb" in badges.source
        assert f'REPOSITORY_URL = "{URL}"\n' in setup.source


@pytest.mark.parametrize(
    "url", ["https://gitlab.com/a/b", "github.com/a/b", "", "https://github.com/a"]
)
def test_another_url_is_refused(url):
    with pytest.raises(SystemExit, match="no GitHub repository"):
        links.point_to(read(names()[0]), "x.ipynb", url)
