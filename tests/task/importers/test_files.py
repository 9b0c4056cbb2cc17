import csv
import gzip
import io
import json

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from task.csv_files import DELIMITERS, read_csv
from task.files import read_source
from task.importers import read_pairs
from task.text_files import RowError, read_json
from tests.task.importers.examples import ANSWERS, CHATS, PROMPTS, ROWS

ROWS_WITH_UMLAUTS = [
    {"prompt": "Die Lampe ist kaputt; „sehr“ ärgerlich, oder?", "output": "Mängel"},
    {"prompt": "Où est\nmon colis ?", "output": 'envoi "express"'},
    {"prompt": "Preis: 20 €, bitte", "output": "Rechnung"},
]


def as_csv(rows, delimiter=",", newline="\r\n"):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def pairs_of(path):
    return [(pair.conversation.text, pair.output) for pair in read_pairs(str(path)).pairs]


@pytest.mark.parametrize("delimiter", DELIMITERS, ids=["comma", "semicolon", "tab", "bar"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_csv_is_read_with_any_delimiter_and_encoding(tmp_path, delimiter, encoding):
    path = tmp_path / "pairs.csv"
    path.write_bytes(as_csv(ROWS_WITH_UMLAUTS, delimiter).encode(encoding))
    assert pairs_of(path) == [(row["prompt"], row["output"]) for row in ROWS_WITH_UMLAUTS]


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n'], ids=["plain", "quoted"])
def test_the_delimiter_that_excel_writes_on_the_first_line_is_taken(tmp_path, line):
    path = tmp_path / "pairs.csv"
    path.write_text(line + as_csv(ROWS_WITH_UMLAUTS, ";"), encoding="utf-8")
    assert len(pairs_of(path)) == 3
    tabs = tmp_path / "tabs.csv"
    tabs.write_text(line.replace(";", "\t") + as_csv(ROWS_WITH_UMLAUTS, "\t"), encoding="utf-8")
    assert len(pairs_of(tabs)) == 3
    bad = tmp_path / "bad.csv"
    bad.write_text(line + "prompt;output\r\na;b;c\r\n", encoding="utf-8")
    assert read_source(str(bad)).files[0].records[0].place == "bad.csv, line 3"


def test_the_encoding_is_said(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(as_csv(ROWS_WITH_UMLAUTS, ";").encode("cp1252"))
    assert "pairs.csv (CSV, cp1252)" in read_pairs(str(path)).lines()[0]


def test_signs_are_no_accented_letters(tmp_path):
    path = tmp_path / "pairs.csv"
    text = "id;prompt;output\n" + "".join(f"{n};0,50 €;\N{EN DASH} 20 °\n" for n in range(50))
    path.write_bytes(text.encode("cp1252"))
    assert pairs_of(path)[0] == ("0,50 €", "\N{EN DASH} 20 °")


def test_messages_in_cells_are_read(tmp_path):
    rows = [
        {"traceId": row["traceId"], "input": json.dumps(row["input"]), "output": row["output"]}
        for row in ROWS["langfuse"]
    ]
    path = tmp_path / "export.csv"
    path.write_text(as_csv([row | {"output": json.dumps(row["output"])} for row in rows]))
    assert pairs_of(path) == CHATS


@pytest.mark.parametrize("indent", [None, 2], ids=["one-line", "indented"])
def test_a_json_array_is_read(tmp_path, indent):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(ROWS["alpaca"], indent=indent), encoding="utf-8")
    assert [output for _, output in pairs_of(path)] == ANSWERS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_jsonl_is_read_in_any_encoding_and_compressed(tmp_path, encoding):
    lines = "\r\n".join(json.dumps(r, ensure_ascii=False) for r in ROWS_WITH_UMLAUTS) + "\n\n"
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode(encoding)))
    assert len(pairs_of(path)) == 3


def test_a_json_string_may_hold_any_line_separator(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "one\u2028two", "output": "x"}\n', encoding="utf-8")
    assert pairs_of(path) == [("one\u2028two", "x")]


def table():
    return pyarrow.Table.from_pylist([r | {"score": n} for n, r in enumerate(ROWS["sharegpt"])])


def write_parquet(path):
    pyarrow.parquet.write_table(table(), path)


def write_stream(path):
    with pyarrow.OSFile(str(path), "wb") as file:
        writer = pyarrow.ipc.new_stream(file, table().schema)
        writer.write_table(table())
        writer.close()


def write_arrow_file(path):
    with pyarrow.OSFile(str(path), "wb") as file:
        writer = pyarrow.ipc.new_file(file, table().schema)
        writer.write_table(table())
        writer.close()


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.parquet", write_parquet), ("a.arrow", write_stream), ("b.arrow", write_arrow_file)],
    ids=["parquet", "arrow-stream", "arrow-file"],
)
def test_parquet_and_arrow_are_read(tmp_path, name, write):
    write(tmp_path / name)
    assert pairs_of(tmp_path / name) == CHATS


def test_a_hugging_face_dataset_folder_is_read(tmp_path):
    """As `DatasetDict.save_to_disk` lays it out."""
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        (folder / "dataset_info.json").write_text("{}")
        (folder / "state.json").write_text('{"_data_files": []}')
        write_stream(folder / "data-00000-of-00001.arrow")
    imported = read_pairs(str(tmp_path))
    assert len(imported.pairs) == 2 * len(CHATS)
    assert len(imported.parts[0].files) == 2


def test_a_clone_from_the_hub_is_read(tmp_path):
    (tmp_path / "README.md").write_text("# Data")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config.json").write_text("{}")
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    assert pairs_of(tmp_path) == CHATS


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.jsonl", b"", "it has no row"),
        ("a.jsonl", b"{not json\n", "not JSON"),
        ("a.json", b'[{"prompt": 1', "not JSON"),
        ("a.json", b"[1, 2]", "object is expected"),
        ("a.xlsx", b"PK\x03\x04rest", "Excel"),
        ("a.csv", b'prompt,output\n"a,b\n', "not CSV"),
        ("a.csv", b"prompt,prompt\na,b\n", "twice"),
        ("a.csv", b"prompt,output\na\x81b,c\n", "UTF-8"),
        ("a.parquet", b"PAR1 nothing", "Parquet"),
        ("a.jsonl", b'{"prompt": "a", "prompt": "b", "output": "c"}\n', "more than once"),
        ("a.jsonl.gz", b"\x1f\x8bnothing", "cannot be read"),
        ("a.jsonl", b"\x28\xb5\x2f\xfdrest", "compressed with zstd"),
        (
            "a.csv",
            "prompt,output\n灯坏了怎么办,缺陷\n包裹在哪里,物流\n".encode("gbk"),
            "save it as UTF-8",
        ),
        (
            "a.csv",
            "prompt,output\n 1 Здравствуйте, доставка \n".encode("cp1251"),
            "save it as UTF-8",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word):
        read_pairs(str(tmp_path / name))


@pytest.mark.parametrize("layout", ["lines", "array", "single"])
def test_bare_lists_of_messages_are_conversations(tmp_path, layout):
    chats = [row["messages"] for row in ROWS["openai-messages"]]
    text = {
        "lines": "".join(json.dumps(chat) + "\n" for chat in chats),
        "array": json.dumps(chats),
        "single": json.dumps(chats[0]),
    }[layout]
    (tmp_path / "chats.json").write_text(text, encoding="utf-8")
    assert pairs_of(tmp_path / "chats.json") == (CHATS[:1] if layout == "single" else CHATS)


def test_a_missing_path_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="no file or folder"):
        read_pairs(str(tmp_path / "nothing.csv"))
    with pytest.raises(UserError, match="no data file"):
        read_pairs(str(tmp_path))


def test_one_bad_line_spoils_no_other(tmp_path):
    lines = [json.dumps(row) for row in ROWS["understudy"]]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join([*lines[:2], '{"prompt": "cut o', *lines[2:]]), encoding="utf-8")
    imported = read_pairs(str(path))
    assert [pair.conversation.text for pair in imported.pairs] == PROMPTS
    assert imported.refusals[0].place == "pairs.jsonl, line 3"
    assert imported.refusals[0].reason == "not JSON: Unterminated string starting at column 12"


def test_a_first_line_that_is_broken_hides_no_other(tmp_path):
    path = tmp_path / "pairs.jsonl"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS["understudy"])
    path.write_text('{"prompt": "cut o\n' + lines, encoding="utf-8")
    imported = read_pairs(str(path))
    assert [pair.conversation.text for pair in imported.pairs] == PROMPTS
    assert [refusal.place for refusal in imported.refusals] == ["pairs.jsonl, line 1"]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl", "pairs.json"])
def test_bytes_of_another_encoding_spoil_their_row_alone(tmp_path, name):
    """As where rows of two programs are put into one file."""
    rows = [{"prompt": f"Größe {n}", "output": "Maß"} for n in range(6)]
    text = {
        "pairs.csv": as_csv(rows),
        "pairs.jsonl": "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows),
        "pairs.json": json.dumps(rows, ensure_ascii=False),
    }[name]
    data = text.encode().replace("Größe 3".encode(), "Größe 3".encode("cp1252"))
    (tmp_path / name).write_bytes(data)
    imported = read_pairs(str(tmp_path / name))
    assert [pair.conversation.text for pair in imported.pairs] == [
        f"Größe {n}" for n in (0, 1, 2, 4, 5)
    ]
    (refusal,) = imported.refusals
    assert "not UTF-8" in refusal.reason
    assert refusal.place.startswith(f"{name}, ")


@pytest.mark.parametrize("indent", [None, 4], ids=["one-line", "indented"])
def test_documents_one_after_another_are_rows(tmp_path, indent):
    """As `jq` writes them, and exporters that print."""
    path = tmp_path / "pairs.json"
    rows = ROWS["openai-messages"]
    path.write_text("\n".join(json.dumps(row, indent=indent) for row in rows), encoding="utf-8")
    assert [output for _, output in pairs_of(path)] == ANSWERS


@pytest.mark.parametrize(
    "text",
    [
        "[\n" + "".join(json.dumps(row) + ",\n" for row in ROWS["understudy"]) + "]\n",
        "".join(json.dumps(row) + ",\n" for row in ROWS["understudy"]),
    ],
    ids=["array", "lines"],
)
def test_a_comma_behind_the_last_row_is_none_of_it(tmp_path, text):
    (tmp_path / "pairs.json").write_text(text, encoding="utf-8")
    assert pairs_of(tmp_path / "pairs.json") == CHATS


@pytest.mark.parametrize(
    "table",
    [
        {
            "prompt": {str(n): prompt for n, prompt in enumerate(PROMPTS)},
            "output": {str(n): answer for n, answer in enumerate(ANSWERS)},
        },
        {"prompt": PROMPTS, "output": ANSWERS},
    ],
    ids=["pandas", "lists"],
)
def test_a_table_that_is_written_by_columns_is_read_by_rows(tmp_path, table):
    (tmp_path / "table.json").write_text(json.dumps(table), encoding="utf-8")
    assert pairs_of(tmp_path / "table.json") == CHATS


@pytest.mark.parametrize("ending", [";;", ""], ids=["all-rows", "header-only"])
def test_columns_without_a_name_and_without_cells_are_left_out(tmp_path, ending):
    path = tmp_path / "pairs.csv"
    path.write_text(f"prompt;output;;\na;b{ending}\nc;d{ending}\n", encoding="utf-8")
    assert pairs_of(path) == [("a", "b"), ("c", "d")]


def test_a_cell_in_a_column_without_a_name_is_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("prompt;output;\na;b;\nc;d;a comment\n", encoding="utf-8")
    (refusal,) = read_pairs(str(path)).refusals
    assert refusal.reason == "a cell in a column without a name"


def test_the_row_numbers_of_pandas_are_left_out(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(",prompt,output\n0,a,b\n1,c,d\nx,e,f\n", encoding="utf-8")
    assert pairs_of(path) == [("a", "b"), ("c", "d")]
    (refusal,) = read_pairs(str(path)).refusals
    assert refusal.reason == "a cell in a column without a name"


@pytest.mark.parametrize("delimiter", DELIMITERS, ids=["comma", "semicolon", "tab", "bar"])
def test_a_row_with_quotes_amiss_is_refused_alone_where_its_end_is_known(tmp_path, delimiter):
    lines = ["prompt,output", '"broken" lamp,a', "second,b", "third,c"]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines).replace(",", delimiter), encoding="utf-8")
    assert pairs_of(path) == [("second", "b"), ("third", "c")]
    (refusal,) = read_pairs(str(path)).refusals
    assert refusal.place == "pairs.csv, line 2"


def test_a_row_whose_end_is_not_known_is_the_last(tmp_path):
    path = tmp_path / "pairs.csv"
    lines = ["prompt,output", "first,a", '"He said "hi" to me', 'and left",b', "third,c"]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert pairs_of(path) == [("first", "a")], "its second line would be a pair of its own"
    assert "no later row is read" in read_pairs(str(path)).refusals[0].reason


def test_a_stray_zero_byte_makes_no_file_utf_16(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"prompt,output\nWhere is\x00 my parcel?,shipping\n")
    assert read_pairs(str(path)).pairs[0].output == "shipping"


def test_rows_of_the_hubs_dataset_viewer_are_unwrapped(tmp_path):
    rows = [{"row_idx": n, "row": row} for n, row in enumerate(ROWS["understudy"])]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"features": [], "rows": rows}), encoding="utf-8")
    assert pairs_of(path) == CHATS


def test_a_table_without_a_header_is_asked_for_one(tmp_path):
    (tmp_path / "pairs.csv").write_text(as_csv(ROWS_WITH_UMLAUTS).partition("\r\n")[2])
    with pytest.raises(UserError, match="a first line that names them: prompt,output"):
        read_pairs(str(tmp_path / "pairs.csv"))


def write_mixed(folder):
    """Four shapes, a table without one, a file that is no text, and no data file."""
    for shape in ("alpaca", "sharegpt"):
        text = "".join(json.dumps(row) + "\n" for row in ROWS[shape])
        (folder / f"{shape}.jsonl").write_text(text, encoding="utf-8")
    (folder / "old").mkdir()
    (folder / "old" / "team.csv").write_text("question,answer,team\na?,b,x\n", encoding="utf-8")
    rows = "".join(json.dumps({"inquiry": f"q{n}", "verdict": "a"}) + "\n" for n in range(3))
    (folder / "verdicts.jsonl").write_text(rows, encoding="utf-8")
    (folder / "binary.csv").write_bytes(b"prompt,output\na\x81b,c\n")
    (folder / "notes.docx").write_bytes(b"PK\x03\x04")


def test_each_file_of_a_folder_has_a_shape_of_its_own(tmp_path):
    write_mixed(tmp_path)
    imported = read_pairs(str(tmp_path))
    assert [part.shape.name for part in imported.parts] == ["alpaca", "sharegpt", "question/answer"]
    assert [len(part.pairs) for part in imported.parts] == [len(ROWS["alpaca"]), len(CHATS), 1]
    assert len(imported.pairs) == sum(len(part.pairs) for part in imported.parts)
    said = imported.lines()
    assert f"{len(CHATS)} pairs read as ShareGPT from sharegpt.jsonl (JSON, utf-8)." in said
    assert "1 pair read as question and answer from old/team.csv (CSV, utf-8)." in said
    assert "Files ignored: notes.docx." in said
    assert any(line.startswith("binary.csv left out: not UTF-8") for line in said)
    unknown = next(line for line in said if line.startswith("verdicts.jsonl left out"))
    assert "their columns are 'inquiry', 'verdict'" in unknown
    assert "--prompt-field" in unknown


def test_files_of_one_shape_are_one_part(tmp_path):
    for n, row in enumerate(ROWS["openai-messages"]):
        (tmp_path / f"{n}.json").write_text(json.dumps(row), encoding="utf-8")
    (part,) = read_pairs(str(tmp_path)).parts
    assert len(part.files) == len(part.pairs) == len(ROWS["openai-messages"])


def test_a_chosen_shape_is_that_of_all_files(tmp_path):
    write_mixed(tmp_path)
    imported = read_pairs(str(tmp_path), prompt_field="inquiry", output_field="verdict")
    assert [part.files for part in imported.parts] == [("verdicts.jsonl (JSON, utf-8)",)]
    assert any("does not have the shape inquiry and verdict" in line for line in imported.lines())


CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)
TABLE = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8)


@given(TABLE, st.sampled_from(DELIMITERS))
def test_a_table_comes_back_as_it_was_written(cells, delimiter):
    rows = [{"prompt": f"p{a}", "output": f"o{b}"} for a, b in cells]
    found = list(read_csv(as_csv(rows, delimiter), "t"))
    assert [record.fields for record in found] == rows


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_exception(text):
    for record in [*read_json(text, "t"), *read_csv(text, "t")]:
        assert isinstance(record.fields, dict | RowError)


def test_a_column_of_bytes_is_refused_as_a_file(tmp_path):
    table = pyarrow.table({"prompt": ["Hi", "Hello"], "completion": [b"\x89PNG", b"\x00"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"2 rows refused: it holds bytes \(an image or a file\)"):
        read_pairs(str(tmp_path / "a.parquet"))
