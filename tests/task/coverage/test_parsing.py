import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task.coverage.parsing import parse_csv, parse_jsonl
from task.coverage.problems import BadRowError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def fields_by_line(records):
    return {record.line: record.fields for record in records}


def reason(records, line):
    fields = fields_by_line(records)[line]
    assert isinstance(fields, BadRowError), fields
    return str(fields)


@settings(deadline=None)
@given(rows=st.lists(st.dictionaries(TEXT, TEXT)), ensure_ascii=st.booleans())
def test_any_jsonl_comes_back_row_by_row(rows, ensure_ascii):
    lines = [json.dumps(row, ensure_ascii=ensure_ascii) for row in rows]
    records = list(parse_jsonl("\n".join(lines).encode()))
    assert [record.fields for record in records] == rows
    assert [record.line for record in records] == list(range(1, len(rows) + 1))


@settings(deadline=None)
@given(data=st.binary())
def test_no_bytes_make_the_parsers_fail(data):
    for parse in (parse_jsonl, parse_csv):
        for record in parse(data):
            assert record.line >= 1
            assert isinstance(record.fields, dict | BadRowError)


@settings(deadline=None)
@given(cells=st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_any_csv_comes_back_row_by_row(cells):
    # A row of blank cells cannot be told from a blank line.
    cells = [(a, b) for a, b in cells if a.strip() or b.strip()]
    text = io.StringIO()
    csv.writer(text).writerows([("prompt", "output"), *cells])
    records = list(parse_csv(text.getvalue().encode()))
    assert [record.fields for record in records] == [{"prompt": a, "output": b} for a, b in cells]


def test_a_bom_blank_lines_and_crlf_are_accepted():
    data = b'\xef\xbb\xbf{"a": 1}\r\n\r\n   \n{"b": 2}\r\n'
    assert fields_by_line(parse_jsonl(data)) == {1: {"a": 1}, 4: {"b": 2}}
    data = b"\xef\xbb\xbfprompt,output\r\n\r\nhi,there\r\n"
    assert fields_by_line(parse_csv(data)) == {3: {"prompt": "hi", "output": "there"}}


def test_a_line_separator_inside_a_string_does_not_end_the_line():
    assert fields_by_line(parse_jsonl('{"a": "x\u2028y"}'.encode())) == {1: {"a": "x\u2028y"}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a": 1', "not JSON"),
        (b"[1, 2]", "a JSON object is expected, found [1, 2]"),
        (b'"text"', "a JSON object is expected"),
        (b'{"a": 1, "a": 2}', "the field 'a' is there twice"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5_000, "not JSON"),
    ],
    ids=["cut", "list", "string", "repeated-field", "latin-1", "deep", "long-number"],
)
def test_a_bad_jsonl_line_is_told_and_the_next_one_still_read(line, expected):
    records = list(parse_jsonl(line + b'\n{"b": 2}\n'))
    assert expected in reason(records, 1)
    assert len(reason(records, 1)) < 200
    assert fields_by_line(records)[2] == {"b": 2}


def test_csv_rows_are_located_by_their_first_line():
    data = b'prompt,output\n"two\nlines",x\nlast,y,z\n'
    records = list(parse_csv(data))
    assert fields_by_line(records)[2] == {"prompt": "two\nlines", "output": "x"}
    assert reason(records, 4) == "3 cells, but the first line names 2 columns"


def test_csv_tags_are_split_and_empty_optional_cells_left_out():
    data = b"id,prompt,output,split,tags\n,hi,there,,long; angry;;\nx,,there,seed,\n"
    assert fields_by_line(parse_csv(data)) == {
        2: {"prompt": "hi", "output": "there", "tags": ["long", "angry"]},
        3: {"id": "x", "prompt": "", "output": "there", "split": "seed"},
    }


def test_a_csv_row_that_is_not_utf8_does_not_hide_the_others():
    records = list(parse_csv(b"prompt,output\nGr\xfc\xdfe,x\nhi,y\n"))
    assert "not UTF-8" in reason(records, 2)
    assert fields_by_line(records)[3] == {"prompt": "hi", "output": "y"}


@pytest.mark.parametrize(
    "header",
    [b"id;prompt;output", b"prompt,answer", b"prompt,output,colour", b"prompt,output,output"],
    ids=["semicolons", "no-output", "unknown-column", "repeated-column"],
)
def test_a_csv_with_another_header_is_refused_once(header):
    records = list(parse_csv(header + b"\n1,2\n3,4\n"))
    assert [record.line for record in records] == [1]
    assert "must name the columns prompt and output" in reason(records, 1)


def test_a_quote_that_is_never_closed_is_told_at_its_row():
    records = list(parse_csv(b'prompt,output\na,b\n"c,d\ne,f\n'))
    assert "not CSV" in reason(records, 3)
