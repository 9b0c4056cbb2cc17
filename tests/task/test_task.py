import json

import pydantic
import pytest

from task.task import Task

SCHEMA = {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}}


def task(**fields):
    return Task(name="sort", instruction="Sort.", **fields)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("schema.json", json.dumps(SCHEMA)),
        ("schema.yaml", "type: object\nproperties: {kind: {enum: [a, b]}}\n"),
    ],
)
def test_a_schema_may_be_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = task(output_schema=str(tmp_path / name))
    assert found.output_schema == SCHEMA
    assert found == task(output_schema=SCHEMA)
    # What travels holds the schema, not the name of a file.
    assert Task.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "objekt"}, "no JSON Schema: 'objekt'"),
        ("missing.json", "cannot be read"),
        (["a"], "dictionary"),
    ],
    ids=["no-schema", "no-file", "no-object"],
)
def test_what_is_no_schema_is_refused(value, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        task(output_schema=value)
