"""Does what a guide of docs/extend says: its files, its edits, its commands."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_PACKAGES = (file.parent.name for file in REPOSITORY.glob("*/__init__.py"))
_FOLDERS = {*_PACKAGES, "apps", "data", "docs", "tests"}
_FILES = (".importlinter", "pyproject.toml")
_BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_CHECKS = re.compile(r"^## Check it\n+```\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def copy_of_the_repository(target):
    skip = shutil.ignore_patterns("__pycache__", "*.png", "output")
    for name in _FOLDERS:
        shutil.copytree(REPOSITORY / name, target / name, ignore=skip)
    for name in _FILES:
        shutil.copy(REPOSITORY / name, target / name)
    (target / ".cache").symlink_to(REPOSITORY / ".cache")
    return target


def follow(guide, repository):
    """Write a guide's files and make its edits; returns the files."""
    done = []
    for kind, name, text in _BLOCK.findall(guide):
        file = repository / name
        if kind == "diff":
            _edit(file, text)
        else:
            assert not file.exists(), f"{name} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        done.append(file)
    return done


def checks(guide):
    """The commands of the guide's section "Check it"."""
    (block,) = _CHECKS.findall(guide)
    return [shlex.split(line) for line in block.splitlines()]


def run(command, repository):
    """Run a command of a guide with the packages of these tests; its output."""
    folder = Path(sys.executable).parent
    program = str(folder / Path(command[0]).name)
    done = subprocess.run(
        [program, *command[1:]], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _edit(file, diff):
    lines = diff.splitlines(keepends=True)
    assert all(line[0] in " +-" or line == "\n" for line in lines), diff
    old = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
    new = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} holds this {text.count(old)} times:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")
