"""Where the records of a text file are said to be."""

import pytest

from task.text_files import read_json


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('[\n {"a": 1},\n {"a": 2}]', ["f, item 1", "f, item 2"]),
        ('{\n "a": 1}', ["f"]),
        ('{\n "a": 1}\n{\n "a": 2}', ["f, document 1", "f, document 2"]),
        ('[{"a": 1}]\n[{"a": 2}]', ["f, document 1, item 1", "f, document 2, item 1"]),
        ('{"a": 1}\n\n{"a": 2}', ["f, line 1", "f, line 3"]),
    ],
)
def test_a_record_is_named_by_its_place_in_the_file(text, places):
    records = list(read_json(text, "f"))
    assert [record.place for record in records] == places
    assert [set(record.fields) for record in records] == [{"a"}] * len(places)
