"""Writes rows to a file and reads its pairs."""

import json

from task.importers import read_pairs


def write(tmp_path, rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(tmp_path, rows, **options):
    return read_pairs(write(tmp_path, rows), **options)
