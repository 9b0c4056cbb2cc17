"""Files that somebody is still writing, or whose end is lost."""

import gzip
import json

import pytest

from core.errors import UserError
from task.importers import read_pairs
from tests.task.importers.examples import CHATS, ROWS
from tests.task.test_json_cells import export

HALF = "the end of the file is half a row: it is still being written, or was cut off; all rows"


def as_jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("shape", ["capture", "understudy", "litellm", "openai-messages"])
def test_a_file_that_is_still_written_is_read_up_to_its_last_whole_line(tmp_path, shape):
    whole = as_jsonl(ROWS[shape])
    last = as_jsonl([ROWS[shape][0]]).rstrip("\n")
    path = tmp_path / "log.jsonl"
    for end in range(1, len(last)):
        path.write_text(whole + last[:end], encoding="utf-8")
        imported = read_pairs(str(path))
        assert len(imported.pairs) == len(CHATS), last[:end]
        (refusal,) = (r for r in imported.refusals if HALF in r.reason)
        assert refusal.skipped
        assert refusal.place == f"log.jsonl, line {len(ROWS[shape]) + 1}"
    said = [line for line in imported.lines() if HALF in line]
    assert said == [
        f"1 row skipped: {HALF} before are read (log.jsonl, line {whole.count(chr(10)) + 1})."
    ]
    path.write_text(whole + last, encoding="utf-8")
    assert len(read_pairs(str(path)).pairs) == len(CHATS) + 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_character_that_is_half_written_changes_no_other(tmp_path, encoding):
    rows = [{"prompt": f"Größe {n} €", "output": "Maß"} for n in range(3)]
    text = as_jsonl(rows)
    path = tmp_path / "log.jsonl"
    data = (text + '{"prompt": "20 €').encode(encoding)
    for cut in range(1, 5):
        path.write_bytes(data[:-cut])
        imported = read_pairs(str(path))
        assert [pair.conversation.text for pair in imported.pairs] == [r["prompt"] for r in rows]
        assert [refusal.skipped for refusal in imported.refusals] == [True]


def test_a_packed_file_that_is_still_written_is_read_as_far_as_it_is(tmp_path):
    path = tmp_path / "log.jsonl.gz"
    first, second = (gzip.compress(as_jsonl(ROWS["understudy"]).encode()) for _ in "ab")
    path.write_bytes(first + second[:-4])  # all its text is there
    imported = read_pairs(str(path))
    assert len(imported.pairs) == 2 * len(CHATS)
    assert [HALF in refusal.reason for refusal in imported.refusals] == [True]
    path.write_bytes(first + second[:-20])
    imported = read_pairs(str(path))
    assert len(CHATS) <= len(imported.pairs) < 2 * len(CHATS)
    assert [HALF in refusal.reason for refusal in imported.refusals] == [True]
    table = tmp_path / "rows.csv.gz"
    table.write_bytes(gzip.compress(b"prompt,output\r\n" + b"a,b\r\n" * 9)[:-4])
    with pytest.raises(UserError, match="it is cut off, and so may be its last row"):
        read_pairs(str(table))


@pytest.mark.parametrize(
    "last",
    ['{"prompt": oops}', "never a row", '{"prompt": "a", "prompt": "b"}', '{"prompt": "a"} x'],
)
def test_a_last_line_that_is_wrong_is_not_called_half(tmp_path, last):
    path = tmp_path / "log.jsonl"
    path.write_text(as_jsonl(ROWS["understudy"]) + last, encoding="utf-8")
    (refusal,) = read_pairs(str(path)).refusals
    assert HALF not in refusal.reason
    assert not refusal.skipped


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("prompt,output\nhallo,Grüße aus Köln\nfoo,Die Antwort geht noch weiter ü", "utf-8"),
        ("prompt,output\nhallo,Gruss\nfoo,as we said in the café", "utf-8"),
        ("prompt,output\nhallo,Gruss\nfoo,it costs 20 €", "utf-8"),
        ('prompt,output\nhallo,Gruss\nfoo,"it\nends 😀', "utf-8"),
        ("prompt\toutput\nhallo\tGruss\nfoo\tThis is", "utf-16"),
        ("prompt\toutput\nhallo\tGruss\nfoo\tThis is", "utf-16-be"),
        ("prompt,output\nhallo,Gruss\nü", "utf-8"),
    ],
)
def test_a_table_that_ends_inside_a_character_loses_its_last_row(tmp_path, text, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding)[:-1])
    imported = read_pairs(str(path))
    assert [pair.conversation.text for pair in imported.pairs] == ["hallo"]
    (refusal,) = imported.refusals
    assert HALF in refusal.reason
    assert refusal.place == "rows.csv, line 3"


def test_a_last_letter_of_another_encoding_is_not_half_a_character(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("prompt,output\nwhere?,in the café".encode("cp1252"))
    assert [pair.output for pair in read_pairs(str(path)).pairs] == ["in the café"]


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.csv.gz"])
def test_a_packed_file_of_blank_lines_that_is_cut_off_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"\n" * 2_000_000)[:-9])
    with pytest.raises(UserError, match=r"left out: .*cut off"):
        read_pairs(str(path))


def test_a_line_cut_off_behind_a_brace_of_its_text_is_half(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(as_jsonl(ROWS["understudy"]) + '{"prompt": "c", "output": "{\\"x\\": 1}')
    (refusal,) = read_pairs(str(path)).refusals
    assert HALF in refusal.reason
    assert refusal.skipped


@pytest.mark.parametrize("cut", [1, 2, 12])
def test_a_table_with_json_in_its_cells_that_is_cut_off_is_still_one(tmp_path, cut):
    texts = ['Say "hi"\nto me', "Größe"]
    rows = [{"id": "o", "traceId": "t", "input": text, "output": "It is 20 €"} for text in texts]
    path = tmp_path / "export.csv"
    path.write_bytes(export(rows).rstrip("\n").encode()[:-cut])
    imported = read_pairs(str(path))
    assert [pair.conversation.text for pair in imported.pairs] == texts[:1]
    assert [refusal.place for refusal in imported.refusals] == ["export.csv, line 3"]
