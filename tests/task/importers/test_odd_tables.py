"""Cells with spaces before them, and times that Python cannot hold."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from task.csv_files import DELIMITERS, read_csv
from task.importers import read_pairs
from tests.task.importers.examples import ANSWERS, PROMPTS
from tests.task.importers.test_odd_files import read, texts

CELL = st.text(' ",;\n|x', max_size=10)
SPACED = {
    "one quoted cell": ('a, "b"\nx,   indented\n', [("a", "b"), ("x", "   indented")]),
    "inside a cell": (
        '"f(""a"", ""b"")\ng(1, """", 2)\n",one\nother,   kept\n',
        [('f("a", "b")\ng(1, "", 2)\n', "one"), ("other", "   kept")],
    ),
    "none quoted": ('a, "b" and c\nx, y\n', [("a", ' "b" and c'), ("x", " y")]),
    "several lines": ('a, "b\nc, ""d"""\n "x", y\n', [("a", 'b\nc, "d"'), ("x", " y")]),
}


@pytest.mark.parametrize(("text", "wanted"), SPACED.values(), ids=SPACED)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_space_before_a_quoted_cell_goes(tmp_path, text, wanted, newline):
    text = ("prompt,output\n" + text).replace("\n", newline)
    found = texts(read(tmp_path, text, "rows.csv"))
    assert found == [tuple(cell.replace("\n", newline) for cell in row) for row in wanted]


@pytest.mark.parametrize(
    ("text", "pairs", "reason"),
    [
        ('a, "b"\nc, "d" and e\nx,y\n', [("a", "b"), ("x", "y")], "not CSV: "),
        ('a, "b"\nc, "say "d"\nand e",f\n', [("a", "b")], "no later row is read"),
    ],
    ids=["its end is known", "its end is not known"],
)
def test_a_cell_behind_a_space_with_quotes_amiss_is_refused(tmp_path, text, pairs, reason):
    imported = read(tmp_path, "prompt,output\n" + text, "rows.csv")
    assert texts(imported) == pairs
    (refusal,) = imported.refusals
    assert reason in refusal.reason


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6), st.sampled_from(DELIMITERS))
def test_cells_that_a_program_wrote_keep_their_spaces(cells, delimiter):
    text = io.StringIO(newline="")
    rows = [("prompt", "output"), *((f"p{a}", f"{b}x") for a, b in cells)]
    csv.writer(text, delimiter=delimiter).writerows(rows)
    found = [tuple(record.fields.values()) for record in read_csv(text.getvalue(), "t")]
    assert found == rows[1:]


def write_times(path, column):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"prompt": PROMPTS[:2], "output": ANSWERS[:2], "time": column(pyarrow)})
    pyarrow.parquet.write_table(table, path)


TIMES = {
    "a time after 9999": lambda arrow: arrow.array([1, 10**15], arrow.timestamp("ms")),
    "a date after 9999": lambda arrow: arrow.array([10**7, 1], arrow.date32()),
    "an unknown zone": lambda arrow: arrow.array([1, 1], arrow.timestamp("us", tz="Nowhere/Zone")),
}


@pytest.mark.parametrize("column", TIMES.values(), ids=TIMES)
def test_a_time_that_cannot_be_read_is_said(tmp_path, column):
    write_times(tmp_path / "rows.parquet", column)
    with pytest.raises(UserError, match=r"rows\.parquet left out: a date or time in it cannot be"):
        read_pairs(str(tmp_path / "rows.parquet"))
