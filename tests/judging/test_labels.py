import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from judging.labels import Label, quoted, read_labels, unquoted, write_labels
from judging.requests import JudgedResponse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HEADER = "prompt,output,response,human_covered\n"


def _fill(text, value):
    rows = list(csv.reader(io.StringIO(text, newline="")))
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([rows[0], *([*row[:3], value] for row in rows[1:])])
    return stream.getvalue()


@given(responses=st.lists(st.builds(JudgedResponse, TEXT, TEXT, TEXT), unique=True, max_size=4))
def test_any_text_survives_the_label_file(responses):
    filled = _fill(write_labels(responses), "yes")
    assert read_labels(filled, "labels.csv") == [Label(c, True) for c in responses]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"], ids=repr)
def test_a_text_that_a_spreadsheet_would_calculate_is_quoted(start):
    assert quoted(f"{start}1") == f"'{start}1"
    assert unquoted(quoted(f"{start}1")) == f"{start}1"


def test_no_cell_starts_a_formula():
    text = write_labels([JudgedResponse("=1+1", "@x", "+1")])
    (row,) = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert row == ["'=1+1", "'@x", "'+1", ""]


@pytest.mark.parametrize(
    ("value", "covered"),
    [("yes", True), ("1", True), (" TRUE ", True), ("no", False), ("0", False), ("False", False)],
)
def test_labels_may_be_written_in_several_ways(value, covered):
    assert read_labels(f"{HEADER}p,o,r,{value}\n", "l.csv")[0].covered is covered


def test_rows_without_a_label_are_left_out():
    assert read_labels(f"{HEADER}p,o,r,\n\np,o,s,yes\n", "l.csv") == [
        Label(JudgedResponse("p", "o", "s"), True)
    ]


def test_columns_may_stand_in_any_order_beside_others():
    text = "note,human_covered,response,output,prompt\nx,no,r,o,p\n"
    assert read_labels(text, "l.csv") == [Label(JudgedResponse("p", "o", "r"), False)]


def test_a_byte_order_mark_is_no_part_of_the_first_column():
    assert len(read_labels(f"\ufeff{HEADER}p,o,r,yes\n", "l.csv")) == 1


def test_every_bad_label_is_named_with_its_line():
    text = f"{HEADER}p,o,r,maybe\np,o,s,yes\np,o\np,o,s,no\n"
    with pytest.raises(UserError) as error:
        read_labels(text, "l.csv")
    message = str(error.value)
    assert "line 2: received 'maybe'" in message
    assert "line 4: 2 columns" in message
    assert "line 5: the same response has another label" in message


@pytest.mark.parametrize("text", ["", "prompt,output\np,o\n"], ids=["empty file", "two columns"])
def test_missing_columns_are_named(text):
    with pytest.raises(UserError, match="human_covered"):
        read_labels(text, "l.csv")


CELLS = st.text(max_size=6) | st.sampled_from(["yes", "no", '"', ",", "\n", "\r", "\x00", "'="])


@given(text=st.text() | st.lists(CELLS, max_size=12).map(lambda cells: HEADER + ",".join(cells)))
def test_any_text_is_labels_or_told(text):
    try:
        labels = read_labels(text, "l.csv")
    except UserError as error:
        told = str(error)
    else:
        told = "l.csv"
        assert all(isinstance(label.covered, bool) for label in labels)
    assert told.startswith("l.csv")


@given(
    responses=st.lists(st.builds(JudgedResponse, TEXT, TEXT, TEXT), unique=True, max_size=4),
    values=st.lists(st.sampled_from(["yes", "no", ""]), min_size=4, max_size=4),
)
def test_every_label_is_of_its_own_response(responses, values):
    rows = list(csv.reader(io.StringIO(write_labels(responses), newline="")))
    stream = io.StringIO(newline="")
    filled = [[*row[:3], value] for row, value in zip(rows[1:], values, strict=False)]
    csv.writer(stream).writerows([rows[0], *filled])
    labelled = [(c, v) for c, v in zip(responses, values, strict=False) if v]
    assert read_labels(stream.getvalue(), "l.csv") == [Label(c, v == "yes") for c, v in labelled]


def test_every_label_that_cannot_be_used_has_a_line():
    with pytest.raises(UserError) as raised:
        read_labels(f"{HEADER}a,b,c,perhaps\nd,e,f,\ng,h,i,2\n", "labels.csv")
    first, *lines = str(raised.value).split("\n")
    assert first.startswith("labels.csv has labels that cannot be used.")
    assert [line.partition(":")[0] for line in lines] == ["line 2", "line 4"]
