from typing import Any

import pytest

from core.records import CoverageRow


@pytest.fixture
def coverage_row():
    def make(id: str, **changes: Any) -> CoverageRow:
        fields = {"prompt": f"Capital of {id}?", "output": f"City of {id}", "split": "seed"}
        return CoverageRow(id=id, **(fields | changes))

    return make
