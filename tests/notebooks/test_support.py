"""What the notebooks use to show tables and to write edits back."""

import subprocess
import sys

import pytest

from notebooks.support import (
    REPOSITORY,
    copy_repository,
    replace_function,
    replace_text,
    run_pipeline,
    table,
)


def judge(score):
    """The edited one."""
    return score >= 5


@pytest.fixture
def module(tmp_path):
    file = tmp_path / "module.py"
    functions = "def judge(score):\n    return score >= LIMIT\n\n\ndef after():\n    return 1\n"
    file.write_text(f"LIMIT = 4\n\n\n{functions}")
    return file


def test_a_function_is_replaced_and_its_neighbours_stay(module):
    replace_function(module, judge)
    namespace = {}
    exec(module.read_text(), namespace)
    assert (namespace["judge"](4), namespace["judge"](5)) == (False, True)
    assert (namespace["LIMIT"], namespace["after"]()) == (4, 1)
    assert module.read_text().count("def judge") == 1


def test_a_function_that_the_file_lacks_is_not_added(module):
    before = module.read_text()
    with pytest.raises(LookupError, match="copy_repository"):
        replace_function(module, copy_repository)
    assert module.read_text() == before


@pytest.mark.parametrize(("old", "times"), [("absent", 0), ("return", 2)])
def test_a_text_that_is_not_unique_is_not_replaced(module, old, times):
    with pytest.raises(LookupError, match=f"{times} times"):
        replace_text(module, old, "new")


def test_a_copy_runs_its_own_code(tmp_path):
    copy = copy_repository(tmp_path / "copy")
    replace_text(copy / "core/records.py", 'SEED_SPLIT = "seed"', 'SEED_SPLIT = "edited"')
    program = "from core import records; print(records.SEED_SPLIT, records.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=copy, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["edited", str(copy / "core/records.py")]
    assert not (copy / ".git").exists()
    assert (copy_repository(copy) / "core/records.py").read_text() == (
        REPOSITORY / "core/records.py"
    ).read_text(), "a second copy is a fresh one"


def test_no_folder_but_an_earlier_copy_is_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(FileExistsError, match="no copy of the repository"):
        copy_repository(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="no preset 'absent'"):
        run_pipeline(REPOSITORY, "absent", tmp_path / "output")


def test_a_table_survives_what_its_cells_hold():
    text = table([{"a": "x | y\nz", "b": 0.123456}, {"a": "w" * 300, "b": 2}], width=20).data
    lines = text.splitlines()
    assert lines[0] == "| a | b |"
    assert lines[2] == r"| x \| y z | 0.123 |"
    assert len(lines) == 4
    assert len(lines[3]) < 40
