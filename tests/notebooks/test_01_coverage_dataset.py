"""The notebook about the coverage dataset, executed."""

import pytest

from task.coverage.reader import read_coverage
from tests.notebooks.conftest import REPOSITORY, errors_in, plots_in

pytestmark = pytest.mark.slow


def test_it_reads_checks_and_exports_the_dataset(executed, tmp_path):
    notebook, found = executed(
        "01_coverage_dataset",
        {
            "rows": "len(dataset)",
            "complaint": "complaint",
            "duplicates": "len(duplicates)",
            "planted": "repeated.similarity",
            "interval": "list(interval)",
            "enough": "enough",
        },
    )
    assert not errors_in(notebook)
    assert len(plots_in(notebook)) == 4
    dataset = read_coverage(str(REPOSITORY / "data/coverage/support_triage"))
    assert found["rows"] == len(dataset)
    assert "tickets.jsonl:4" in found["complaint"]
    assert "output is missing" in found["complaint"]
    assert found["duplicates"] == 0
    assert 0.7 <= found["planted"] < 1
    low, high = found["interval"]
    assert 0.6 < low < 0.8 < high < 0.9
    assert 200 < found["enough"] < 300
    exported = read_coverage(str(tmp_path / "output" / "export"))
    assert [row for row in exported if row in dataset] == dataset
    assert len(exported) == len(dataset) + 3
