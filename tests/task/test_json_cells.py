"""CSV as Langfuse writes it: its writer is repeated here, after the project's public source."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.csv_files import read_csv
from task.json_cells import is_json_cells, split_json_cells
from task.text_files import decode


def cell(value):
    """Write a value as langfuse/packages/shared/…/transformStreamToCsv.ts does."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "," in text:
        text = '"' + text.replace('"', '""') + '"'
    if text.startswith('"') and text.endswith('"'):
        return text
    return '"' + text.replace('"', '""') + '"'


def export(rows):
    lines = [",".join(rows[0]), *(",".join(map(cell, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
OBJECT = st.dictionaries(TEXT, TEXT, min_size=1, max_size=3)
# Of a value without a quote, such as an empty list, a cell does not show whether it was a text.
VALUE = st.one_of(TEXT, st.lists(OBJECT, min_size=1, max_size=3), OBJECT)


@given(st.lists(VALUE, min_size=1, max_size=5))
def test_cells_come_back_as_they_were_written(values):
    assert split_json_cells(",".join(map(cell, values))) == values


@given(st.lists(st.tuples(TEXT, VALUE), min_size=1, max_size=4))
def test_a_table_comes_back_as_it_was_written(pairs):
    rows = [
        # Cells of white space alone are left out.
        {
            "id": "o1",
            "traceId": "t1",
            "input": f"p{a}",
            "output": f"o{b}" if isinstance(b, str) else b,
        }
        for a, b in pairs
    ]
    found = [record.fields for record in read_csv(export(rows), "t")]
    assert found == rows


@given(st.text(alphabet='",\\a{}[]', max_size=30))
def test_any_line_is_read_without_an_exception(line):
    cells = split_json_cells(line)
    assert cells is None or isinstance(cells, list)


@pytest.mark.parametrize(
    "text",
    [
        'prompt,output\n"a","b"\n',
        "id,traceId,input,output\n1,2,a,b\n",
        'id,traceId,input,output\n"1","2","first\nsecond","b"\n',
        "id,traceId,input,output\n",
    ],
    ids=["other-columns", "unquoted", "line-break", "empty"],
)
def test_other_tables_are_none_of_this_kind(text):
    assert not is_json_cells(text)


def test_a_line_of_another_kind_is_refused_and_no_other():
    text = export([{"id": "1", "traceId": "t", "input": "a", "output": "b"}] * 3).split("\n")
    text[2] = '"1","t","a"b"c","d"'
    records = list(read_csv("\n".join(text), "t.csv"))
    assert [record.place for record in records] == [f"t.csv, line {n}" for n in (2, 3, 4)]
    assert "not CSV with JSON in its cells" in str(records[1].fields)
    assert isinstance(records[0].fields, dict)
    assert records[0].fields == records[2].fields


@pytest.mark.parametrize("value", ["Grüße", {"content": "Grüße"}], ids=["text", "object"])
def test_a_byte_that_is_no_utf8_refuses_its_line_and_no_other(value):
    row = {"id": "1", "traceId": "t", "input": "\u00e9" * 9, "output": "b"}
    lines = [line.encode() for line in export([row, {**row, "output": value}, row]).split("\n")]
    lines[2] = lines[2].replace("ü".encode(), b"\xfc")
    decoded = decode(b"\n".join(lines))
    assert decoded.encoding == "utf-8"
    records = list(read_csv(decoded.text, "t.csv"))
    assert [isinstance(record.fields, dict) for record in records] == [True, False, True]
    assert "not UTF-8" in str(records[1].fields)
