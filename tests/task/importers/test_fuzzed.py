"""Damaged files of pairs: each row that cannot be read is told, in bounded time and memory."""

import json
import time

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from task.importers import read_pairs
from tests.fuzzing import run

ROWS = [
    {"prompt": f"Where is order {n}?", "output": json.dumps({"order": n}), "tags": ["a", "b"]}
    for n in range(40)
]


def parquet(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def zstd(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, compression="zstd")


def arrow(path):
    pyarrow.feather.write_feather(pyarrow.Table.from_pylist(ROWS), path, compression="lz4")


def jsonl(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def csv(path):
    lines = ["prompt;output", *(f'"{row["prompt"]}";"{row["tags"][0]}, ""b"""' for row in ROWS)]
    path.write_text("\n".join(lines), encoding="utf-16")


KINDS = {
    "pairs.parquet": parquet,
    "zstd.parquet": zstd,
    "pairs.arrow": arrow,
    "pairs.jsonl": jsonl,
    "pairs.csv": csv,
}


def read(file):
    """Read a file as `init --pairs` does."""
    read_pairs(str(file))


@pytest.fixture(params=KINDS)
def file(request, tmp_path):
    KINDS[request.param](tmp_path / request.param)
    assert len(read_pairs(str(tmp_path / request.param)).pairs) == len(ROWS)
    return tmp_path / request.param


def test_of_a_damaged_file_only_the_documented_error_leaves(file):
    assert run(f"{__name__}:read", file, seed=1, cases=150) == {"tried": 150, "found": []}


@pytest.mark.slow
@pytest.mark.soak
def test_for_minutes(file):
    result = run(f"{__name__}:read", file, seed=time.time_ns(), seconds=60)
    assert not result["found"], result
