import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import UserError
from pipeline.local.output_dir import claim, disk_is_full


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    again = claim(tmp_path / "output")
    with (
        claim(tmp_path / "output"),
        pytest.raises(UserError, match="Another run is using"),
        again,
    ):
        pass


def test_the_folder_is_free_again_after_a_run(tmp_path):
    with claim(tmp_path / "output"):
        pass
    with claim(tmp_path / "output") as paths:
        assert paths.journal.parent == tmp_path / "output"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    output = claim(tmp_path / "file" / "output")
    with pytest.raises(UserError, match=r"file/output.*cannot be written"), output:
        pass


@pytest.mark.parametrize("character", "*?[]\\")
def test_a_name_that_is_a_pattern_is_refused(tmp_path, monkeypatch, character):
    """Beam finds no files below it, and a run would end in the middle."""
    folder = tmp_path / f"my {character} runs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for root in (folder / "output", Path("output")):
        with pytest.raises(UserError, match="read as a file pattern"), claim(root):
            pass
    assert list(folder.iterdir()) == []


def test_a_nearly_full_disk_is_refused_before_anything_is_spent(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    with pytest.raises(UserError, match=r"Only 1\.0 GiB are free"), claim(tmp_path / "output"):
        pass


def came_from(cause):
    try:
        raise ValueError("the component failed") from cause
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "told in another language"), True),
        (OSError(errno.EDQUOT, "told in another language"), True),
        (RuntimeError("model.weights; No space left on device"), True),
        (RuntimeError("mlmd: database or disk is full"), True),
        (came_from(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), True),
        (came_from(OSError(errno.EACCES, os.strerror(errno.EACCES))), False),
        (RuntimeError("no device"), False),
    ],
    ids=["Python", "quota", "TensorFlow", "SQLite", "cause", "permission", "other"],
)
def test_a_full_disk_is_known_whoever_noticed_it(error, full):
    assert disk_is_full(error) is full
