"""The guides of docs/extend are followed to the letter in a copy of the repository."""

import subprocess
import sys

import pytest

from tests.docs import guides

GUIDES = sorted((guides.REPOSITORY / "docs" / "extend").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("path", GUIDES, ids=[path.stem for path in GUIDES])
def test_what_a_guide_says_works(path, tmp_path):
    guide = path.read_text(encoding="utf-8")
    copy = guides.copy_of_the_repository(tmp_path / "copy")
    files = guides.follow(guide, copy)
    python_files = [file for file in files if file.suffix == ".py"]
    assert python_files
    for ruff in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *ruff, *python_files]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for command in guides.checks(guide):
        output = guides.run(command, copy)
        if "pytest" in command:
            assert " passed" in output
            assert "failed" not in output


def test_an_edit_that_fits_nowhere_is_noticed(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    guide = '```diff title="a.py"\n-x = 2\n+x = 3\n```\n'
    with pytest.raises(AssertionError, match=r"a\.py holds this 0 times"):
        guides.follow(guide, tmp_path)
