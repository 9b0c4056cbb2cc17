import ast
from pathlib import Path

import pytest

from benchmarks import form_refusals, valid_outputs


@pytest.mark.parametrize("kind", valid_outputs.KINDS)
@pytest.mark.parametrize("size", form_refusals.SIZES)
def test_at_most_one_valid_output_in_a_hundred_is_refused(kind, size):
    assert form_refusals.refused_share(kind, size) <= form_refusals.MAX_REFUSED


def test_what_is_valid_is_decided_without_the_form_code():
    tree = ast.parse(Path(valid_outputs.__file__).read_text(encoding="utf-8"))
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"json", "random", "collections.abc", "typing"}
