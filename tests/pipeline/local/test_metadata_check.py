"""Each kind of damaged metadata has its own name, and a way on that loses nothing."""

import random
import shutil
import sqlite3

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from core.errors import UserError
from pipeline.local.metadata_check import check_metadata


@pytest.fixture
def database(tmp_path):
    """A store with three executions, as ML Metadata writes it."""
    file = tmp_path / "metadata.db"
    store = metadata_store.MetadataStore(sqlite_metadata_connection_config(str(file)))
    kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Node"))
    store.put_executions([metadata_store_pb2.Execution(type_id=kind) for _ in range(3)])
    return file


def artifacts_of(folder, *numbers):
    for number in numbers:
        kept = folder / "tfx" / "Trainer" / "model" / str(number)
        kept.mkdir(parents=True)
        (kept / "weights").write_text(str(number))
    return folder / "tfx"


def test_sound_metadata_and_their_artifacts_stay_as_they_are(database, tmp_path):
    artifacts = artifacts_of(tmp_path, 1, 3)
    driver = artifacts / "CoverageExampleGen" / ".system" / "driver_execution" / "1795957170242810"
    driver.mkdir(parents=True)  # a driver's folder is named by the time
    check_metadata(database, artifacts)
    assert sorted(path.name for path in artifacts.glob("Trainer/model/*")) == ["1", "3"]
    assert not (tmp_path / "tfx.1").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(random.Random(3).randbytes(300), "are damaged", id="random bytes"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 4000, "are damaged", id="header alone"),
        pytest.param(b"id,name\n1,a\n", "are damaged", id="another file"),
    ],
)
def test_a_file_that_is_no_database_is_damaged(tmp_path, content, message):
    file = tmp_path / "metadata.db"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"metadata\.db', {message} .* remove it and run"):
        check_metadata(file, tmp_path / "tfx")


def test_damage_that_sqlite_reports_without_an_error_is_damage(database, tmp_path):
    """`quick_check` answers with a row; every table can still be read."""
    with database.open("r+b") as file:
        file.seek(36)  # the number of free pages: https://www.sqlite.org/fileformat.html
        file.write((5).to_bytes(4, "big"))
    with pytest.raises(UserError, match=r"are damaged \(.*[Ff]reelist.*\).*remove it and run"):
        check_metadata(database, tmp_path / "tfx")


def test_a_database_of_something_else_is_named(tmp_path):
    file = tmp_path / "metadata.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    with pytest.raises(UserError, match="contain no ML Metadata tables"):
        check_metadata(file, tmp_path / "tfx")


def test_a_locked_database_is_not_called_damaged(database, tmp_path, monkeypatch):
    holder = sqlite3.connect(database)
    holder.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file: connect(file, timeout=0))
    try:
        with pytest.raises(UserError, match="in use by another program") as refused:
            check_metadata(database, tmp_path / "tfx")
    finally:
        holder.close()
    assert "remove" not in str(refused.value)


def test_with_an_older_copy_newer_artifacts_are_moved_aside(database, tmp_path, caplog):
    artifacts = artifacts_of(tmp_path, 2, 4, 7)
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    check_metadata(copy, artifacts)
    assert [path.name for path in artifacts.glob("Trainer/model/*")] == ["2"]
    kept = tmp_path / "tfx.1" / "Trainer" / "model"
    assert sorted((path.name, (path / "weights").read_text()) for path in kept.iterdir()) == [
        ("4", "4"),
        ("7", "7"),
    ]
    assert "2 executions" in caplog.text


def test_without_metadata_all_artifacts_are_moved_aside(tmp_path):
    artifacts = artifacts_of(tmp_path, 1, 2)
    check_metadata(tmp_path / "metadata.db", artifacts)
    assert list(artifacts.glob("Trainer/model/*")) == []
    assert len(list((tmp_path / "tfx.1").glob("Trainer/model/*"))) == 2
