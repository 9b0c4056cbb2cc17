"""What the first cell of a notebook does where there is no repository and no TFX."""

import importlib.util
import platform
import re
import shutil
import subprocess
import sys

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from notebooks import install
from notebooks.install import Notice, install_if_missing, stack_for, without
from notebooks.render import names, read, tagged
from tests.notebooks.conftest import REPOSITORY

LOCKS = [
    (REPOSITORY / "requirements" / f"{stack}.txt").read_text() for stack in ("tfx-1.16", "tfx-1.21")
]


def pinned(lock):
    return re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)


@pytest.fixture
def commands(monkeypatch):
    """A machine without TFX that installs nothing and notes what it was to run."""
    commands = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install, "_run", lambda command, env=None: commands.append((command, env)))
    return commands


def machine(monkeypatch, glibc, python):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", glibc))
    version = type("Version", (), dict(zip(("major", "minor"), python, strict=True)))
    monkeypatch.setattr(sys, "version_info", version)


@pytest.mark.parametrize(
    ("glibc", "stack"), [("2.31", "tfx-1.16"), ("2.38", "tfx-1.16"), ("2.39", "tfx-1.21")]
)
def test_the_lock_fits_the_machine(glibc, stack):
    assert stack_for(glibc) == stack


@pytest.mark.parametrize("lock", LOCKS, ids=["tfx-1.16", "tfx-1.21"])
def test_a_lock_loses_the_named_packages_and_nothing_else(lock):
    left_out = {"tornado", "ipykernel"}
    rest = without(lock, left_out)
    assert pinned(rest) == [name for name in pinned(lock) if name not in left_out]
    assert lock.count("--hash=") > rest.count("--hash=") > 1000
    assert without(lock, ()) == lock


@pytest.mark.parametrize("lock", LOCKS, ids=["tfx-1.16", "tfx-1.21"])
def test_what_a_kernel_needs_is_named_as_in_the_locks(lock):
    assert set(install._OF_THE_KERNEL) <= set(pinned(lock))


def test_where_tfx_is_nothing_is_done(monkeypatch):
    monkeypatch.setattr(install, "_run", lambda *command: pytest.fail(f"ran {command}"))
    install_if_missing()


def test_colab_gets_the_packages_into_its_own_python(monkeypatch, commands):
    machine(monkeypatch, "2.39", (3, 13))
    install_if_missing()
    (pip, _), (uv, _) = commands
    assert pip[-1].endswith("requirements/uv.txt")
    assert uv[:4] == [sys.executable, "-m", "uv", "pip"]
    assert uv[uv.index("--python") + 1] == sys.executable
    assert uv[-1].endswith("requirements/demo.txt")
    assert {"--require-hashes", "--no-deps"} <= set(uv)


def test_packages_of_the_kernel_stay_as_the_host_has_them(monkeypatch, commands):
    machine(monkeypatch, "2.39", (3, 13))
    seen = []
    monkeypatch.setattr(install, "without", lambda lock, names: seen.append(list(names)) or lock)
    monkeypatch.setattr(install, "_version", lambda name: None if name == "debugpy" else "1")
    install_if_missing()
    assert seen == [[name for name in install._OF_THE_KERNEL if name != "debugpy"]]


def test_a_session_that_has_loaded_other_versions_is_to_be_restarted(monkeypatch, commands):
    machine(monkeypatch, "2.39", (3, 13))
    monkeypatch.setattr(install, "_loaded", lambda: {"numpy", "rich"})
    monkeypatch.setattr(
        install, "_version", lambda name: f"{len(commands)}" if name == "numpy" else "1"
    )
    with pytest.raises(Notice, match=r"other versions of some packages \(numpy\): restart"):
        install_if_missing()


def test_loaded_distributions_are_found():
    assert {"pytest", "nbclient"} <= {name.lower() for name in install._loaded()}


def test_colab_with_another_python_is_told_which_runtime_to_choose(monkeypatch, commands):
    machine(monkeypatch, "2.35", (3, 12))
    monkeypatch.setitem(sys.modules, "google.colab", object())
    with pytest.raises(Notice, match=r"Python 3\.12.*need Python 3\.11.*Runtime version"):
        install_if_missing()
    assert not commands


def test_workbench_with_another_python_gets_a_kernel(monkeypatch, commands, tmp_path):
    machine(monkeypatch, "2.36", (3, 10))
    monkeypatch.setattr(install, "REPOSITORY", tmp_path)
    with pytest.raises(Notice, match=r"Python 3\.10.*Choose the kernel 'Understudy'"):
        install_if_missing()
    python = str(tmp_path / ".venv" / "bin" / "python")
    _, (venv, _), (setup, variables), (kernel, _) = commands
    assert venv[3:] == ["venv", "--quiet", "--seed", "--python", "3.11", str(tmp_path / ".venv")]
    assert setup == [str(REPOSITORY / "requirements" / "setup.sh")]
    assert variables == {"PYTHON": python}
    assert kernel[:4] == [python, "-m", "ipykernel", "install"]


def test_a_notice_is_shown_as_text():
    source = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
    source += "from notebooks.install import Notice\nraise Notice('Restart the session.')"
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    (output,) = notebook.cells[0].outputs
    assert (output.output_type, output.traceback) == ("error", ["Restart the session."])


def test_the_first_cell_fetches_the_repository(tmp_path):
    source = tmp_path / "remote"
    for file in ("local_runner.py", "notebooks/install.py"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, source / file)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(source)]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run([*git, *arguments], check=True)
    (cell,) = tagged(read(names()[0]), "setup")
    code = re.sub(
        r"(?m)^REPOSITORY_URL = .*$", f"REPOSITORY_URL = {source.as_uri()!r}", cell.source
    )
    code += "\nprint(repository, Path.cwd(), sys.path[0])"
    elsewhere = tmp_path / "content"
    elsewhere.mkdir()
    for _ in range(2):  # a session that was restarted fetches nothing again
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [str(elsewhere / "understudy")] * 3
        shutil.rmtree(source, ignore_errors=True)
