import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfx.types.standard_artifacts import Examples

from components.examples_io import read_coverage, read_examples, write_examples
from core.errors import UserError


@pytest.fixture
def examples(tmp_path):
    artifact = Examples()
    artifact.uri = str(tmp_path / "examples")
    return artifact


VALUE = st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63 - 1)


@given(rows=st.lists(st.fixed_dictionaries({"a": VALUE, "b": VALUE}), min_size=1, max_size=5))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_rows_are_read_as_they_were_written(examples, rows):
    write_examples(examples, {"train": rows}, span=1)
    assert read_examples(examples.uri, "train") == rows


def test_more_rows_than_a_batch_keep_their_order(examples):
    rows = [{"number": number, "text": f"row {number}"} for number in range(3000)]
    write_examples(examples, {"train": rows}, span=1)
    assert read_examples(examples.uri, "train") == rows


def test_a_float_is_stored_in_single_precision(examples):
    write_examples(examples, {"train": [{"x": 0.1}]}, span=1)
    assert math.isclose(read_examples(examples.uri, "train")[0]["x"], 0.1, rel_tol=1e-6)


def test_the_artifact_says_how_to_read_it(examples):
    write_examples(examples, {"train": [{"a": "x"}], "eval": [{"a": "y"}]}, span=4)
    assert examples.splits == ["train", "eval"]
    assert examples.span == 4
    assert examples.get_int_custom_property("span") == 4
    assert examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert examples.get_string_custom_property("file_format") == "tfrecords_gzip"


@pytest.mark.parametrize("rows", [{"train": [{"a": "x"}], "eval": []}, {}], ids=["one", "all"])
def test_an_empty_split_is_never_written(examples, rows):
    with pytest.raises(UserError, match="empty split"):
        write_examples(examples, rows, span=1)


def test_a_missing_split_is_an_error_that_names_the_place(examples):
    write_examples(examples, {"train": [{"a": "x"}]}, span=1)
    with pytest.raises(UserError, match="Split-test"):
        read_examples(examples.uri, "test")


def test_coverage_rows_carry_their_split_and_tags(examples):
    row = {"id": "1", "prompt": "p", "output": "o"}
    write_examples(
        examples, {"seed": [row | {"tags": '["typos", "short"]'}], "holdout": [row]}, span=1
    )
    seed, held = read_coverage(examples.uri)
    assert (seed.split, seed.tags) == ("seed", ("typos", "short"))
    assert (held.split, held.tags) == ("holdout", ())
