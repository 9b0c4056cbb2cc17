import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path):
    """An empty dataset folder, and a way to put files there."""
    root = tmp_path / "coverage"
    root.mkdir()

    class Folder:
        path = str(root)

        def bytes(self, name: str, content: bytes) -> Path:
            (root / name).write_bytes(content)
            return root / name

        def jsonl(self, name: str, *rows: Any) -> Path:
            text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
            return self.bytes(name, text.encode())

    return Folder()


@pytest.fixture
def pair():
    """Two rows that make a valid dataset, one of each split."""
    return (
        {"id": "s", "prompt": "seed prompt", "output": "a", "split": "seed"},
        {"id": "h", "prompt": "holdout prompt", "output": "b", "split": "holdout"},
    )
