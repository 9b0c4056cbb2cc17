"""The benchmark of generation's logits, on small sizes."""

import pytest

from benchmarks import output_head


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_ways_are_measured(dtype):
    assert all(seconds > 0 for seconds in output_head.measure(768, 96, dtype))


def test_logits_that_differ_are_told(monkeypatch):
    monkeypatch.setattr(
        "models.tensorflow_patches.packed_output_table.packed_logits",
        lambda embedding, rows, table: rows[:, :1] + 9.0,
    )
    with pytest.raises(SystemExit, match="768 pieces in float32 differ"):
        output_head.measure(768, 96, "float32")
