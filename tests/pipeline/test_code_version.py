import pytest

from pipeline import code_version as module


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    module.code_version.cache_clear()
    (tmp_path / "part" / "prompts").mkdir(parents=True)
    (tmp_path / "part" / "executor.py").write_text("one = 1\n")
    (tmp_path / "part" / "prompts" / "judge.txt").write_text("Judge.\n")
    yield tmp_path
    module.code_version.cache_clear()


def _again(*paths):
    module.code_version.cache_clear()
    return module.code_version(*paths)


def test_the_same_files_have_the_same_version(repository):
    assert _again("part") == _again("part")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r: (r / "part/executor.py").write_text("one = 2\n"), id="edited code"),
        pytest.param(lambda r: (r / "part/prompts/judge.txt").write_text("!"), id="edited prompt"),
        pytest.param(lambda r: (r / "part/new.py").write_text(""), id="a new file"),
        pytest.param(lambda r: (r / "part/executor.py").rename(r / "part/run.py"), id="a new name"),
    ],
)
def test_every_change_of_a_file_changes_the_version(repository, change):
    before = _again("part")
    change(repository)
    assert _again("part") != before


def test_byte_code_does_not_count(repository):
    before = _again("part")
    (repository / "part" / "executor.pyc").write_bytes(b"\0")
    assert _again("part") == before


def test_a_path_that_does_not_exist_is_refused(repository):
    with pytest.raises(FileNotFoundError, match="'gone'"):
        _again("gone")
