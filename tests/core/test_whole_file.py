"""Files that appear whole, on file systems with and without hard links."""

import errno
import os

import pytest

from core.whole_file import name_once, replace_file


@pytest.fixture(params=[True, False], ids=["hard links", "no hard links"])
def links(request, monkeypatch):
    def refused(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not request.param:
        monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("links")
def test_the_first_file_with_a_name_stays(tmp_path):
    for text in ("first", "second"):
        written = tmp_path / f".{text}"
        written.write_text(text)
        name_once(written, tmp_path / "salt")
        written.unlink(missing_ok=True)
    assert (tmp_path / "salt").read_text() == "first"
    assert os.listdir(tmp_path) == ["salt"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    file = replace_file(tmp_path / "below" / "a.json", "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, "new")
    assert file.read_text() == "old"
