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
        ({"type": "objekt"}, "not a JSON Schema: 'objekt'"),
        ("missing.json", "cannot be read"),
        (["a"], "dictionary"),
    ],
    ids=["no-schema", "no-file", "no-object"],
)
def test_what_is_no_schema_is_refused(value, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        task(output_schema=value)


def test_a_schema_that_would_crash_or_hang_the_reader_is_refused(tmp_path):
    file = tmp_path / "schema.yaml"
    aliases = "".join(
        f"l{n}: &l{n} {{anyOf: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n" for n in range(1, 10)
    )
    for text, message in (
        ("a: !!bool x", "a tag does not fit"),
        (f"l0: &l0 {{type: string}}\n{aliases}", "aliases expand to more than 100,000 values"),
    ):
        file.write_text(text)
        with pytest.raises(pydantic.ValidationError, match=f"cannot be read .*{message}"):
            task(output_schema=str(file))


@pytest.mark.parametrize(
    ("instruction", "summary"),
    [
        ("Sort the\nmessage. Answer with JSON.", "Sort the message."),
        ("Summarise v1.5 of it: who, what.", "Summarise v1.5 of it"),
        ("word " * 100, " ".join(["word"] * 40) + "…"),
        ("One word", "One word"),
    ],
    ids=["first", "colon", "long", "no-stop"],
)
def test_the_summary_is_the_first_sentence_as_far_as_it_is_short(instruction, summary):
    assert Task(name="t", instruction=instruction).summary == summary
