import io
import json
import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.coverage_example_gen.reader import read_coverage
from components.coverage_example_gen.splits import normalized
from components.errors import UserError
from components.records import COVERAGE_SPLITS


def refusal(folder, **arguments):
    with pytest.raises(UserError) as refused:
        read_coverage(folder, **arguments)
    return str(refused.value)


def test_jsonl_csv_and_chat_rows_of_one_folder_are_read_together(folder, pair):
    folder.jsonl("b.jsonl", *pair)
    folder.bytes("a.csv", b'prompt,output,split,tags\n"one, two",x,seed,long;angry\n')
    user, assistant = {"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}
    folder.jsonl("c.jsonl", {"messages": [user, assistant], "split": "seed"})
    rows = read_coverage(folder.path)
    assert [row.prompt for row in rows] == ["one, two", "seed prompt", "holdout prompt", "q"]
    assert rows[0].tags == ("long", "angry")


def test_other_files_hidden_files_and_folders_are_ignored(folder, pair):
    folder.jsonl("rows.jsonl", *pair)
    for name in ("schema.json", "DATASHEET.md", "._rows.jsonl", "rows.jsonl.bak"):
        folder.bytes(name, b"\x00 not a dataset")
    os.mkdir(os.path.join(folder.path, "older"))
    assert len(read_coverage(folder.path)) == 2


def test_every_bad_line_of_every_file_is_told_at_once(folder, pair):
    first = folder.jsonl("a.jsonl", pair[0], "{", {"prompt": "x"}, "", "[]")
    second = folder.bytes("b.csv", b"prompt,output\nfine,yes\n,no prompt\nbad\xff,z\n")
    message = refusal(folder.path)
    assert "mend 5 lines" in message
    assert [line.split(": ")[0].strip() for line in message.splitlines()[1:]] == [
        f"{first}:2",
        f"{first}:3",
        f"{first}:5",
        f"{second}:3",
        f"{second}:4",
    ]


def test_a_long_list_of_bad_lines_is_cut_and_counted(folder):
    folder.jsonl("a.jsonl", *["{"] * 120)
    message = refusal(folder.path)
    assert message.count("not JSON") == 50
    assert message.endswith("… and 70 more")


def test_a_repeated_id_is_refused_over_files(folder, pair):
    folder.jsonl("a.jsonl", *pair)
    folder.jsonl("b.jsonl", {"id": "s", "prompt": "other", "output": "x"})
    message = refusal(folder.path)
    assert "b.jsonl:1: the id 's' is also at " in message
    assert "a.jsonl:1" in message


def test_a_repeated_prompt_is_refused_whatever_its_case_and_spaces(folder, pair):
    repeated = {"id": "n", "prompt": " Seed\n PROMPT ", "output": "x", "split": "seed"}
    folder.jsonl("a.jsonl", *pair, repeated)
    message = refusal(folder.path)
    assert "a.jsonl:3: the same prompt as at " in message
    assert "holdout prompt must not" not in message


def test_a_prompt_in_both_splits_is_refused_as_an_overlap(folder, pair):
    overlap = {"id": "n", "prompt": "SEED prompt", "output": "a", "split": "holdout"}
    folder.jsonl("a.jsonl", *pair, overlap)
    assert "in holdout instead of seed: a holdout prompt must not be shown" in refusal(folder.path)


def test_a_repeated_row_without_id_is_told_once(folder, pair):
    row = {"prompt": "again", "output": "x"}
    folder.jsonl("a.jsonl", *pair, row, row)
    message = refusal(folder.path)
    assert message.count("a.jsonl:4: ") == 1
    assert "the same prompt" in message


def test_system_messages_that_differ_are_refused(folder):
    def chat(system, user):
        contents = (("system", system), ("user", user), ("assistant", "a"))
        return {"messages": [{"role": role, "content": text} for role, text in contents]}

    folder.jsonl("a.jsonl", chat("be kind", "1"), chat("be kind", "2"), chat("be rude", "3"))
    message = refusal(folder.path)
    assert "a.jsonl:3: another system message" in message
    assert "mend 1 line" in message


@pytest.mark.parametrize("path", ["", "nowhere", "file.txt"])
def test_a_missing_folder_is_named(tmp_path, path):
    (tmp_path / "file.txt").touch()
    folder = str(tmp_path / path) if path else ""
    assert f"There is no folder {folder!r}" in refusal(folder)


def test_a_folder_without_data_files_says_what_it_found(folder):
    folder.bytes("rows.xlsx", b"")
    message = refusal(folder.path)
    assert "holds no *.jsonl or *.csv file" in message
    assert "rows.xlsx" in message


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf"], ids=["none", "blank", "bom"])
def test_an_empty_dataset_is_refused(folder, content):
    folder.bytes("a.jsonl", content)
    assert "is empty" in refusal(folder.path)


@pytest.mark.parametrize(("kept", "missing"), [(0, "holdout"), (1, "seed")])
def test_a_dataset_with_one_split_is_refused(folder, pair, kept, missing):
    folder.jsonl("a.jsonl", pair[kept])
    message = refusal(folder.path)
    assert f"has no {missing} row (1 rows in all)" in message
    assert f'Set "split": "{missing}"' in message


def test_a_data_file_that_cannot_be_opened_is_told(folder, pair):
    folder.jsonl("a.jsonl", *pair)
    os.mkdir(os.path.join(folder.path, "b.jsonl"))
    assert "b.jsonl: cannot be read: Is a directory" in refusal(folder.path)


def test_another_file_system_can_be_given(pair):
    class Memory:
        def isdir(self, path):
            return path == "gs://bucket/coverage"

        def listdir(self, path):
            return ["rows.jsonl", "older/"]

        def open(self, path, mode):
            assert (path, mode) == ("gs://bucket/coverage/rows.jsonl", "rb")
            return io.BytesIO("\n".join(map(json.dumps, pair)).encode())

    assert len(read_coverage("gs://bucket/coverage", files=Memory())) == 2


PROMPTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
    min_size=3,
    max_size=12,
    unique_by=normalized,
)


def write(folder, prompts):
    with open(os.path.join(folder, "rows.jsonl"), "w", encoding="utf-8") as file:
        for split in COVERAGE_SPLITS:
            row = {"id": f"fixed {split}", "prompt": f"fixed {split}", "output": "x"}
            file.write(json.dumps(row | {"split": split}) + "\n")
        for prompt in prompts:
            file.write(json.dumps({"prompt": prompt, "output": "x"}, ensure_ascii=False) + "\n")


@settings(deadline=None)
@given(prompts=PROMPTS, percent=st.integers(1, 99))
def test_adding_a_row_moves_no_other(prompts, percent):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, prompts[:-1])
        before = read_coverage(folder, holdout_percent=percent)
        write(folder, [prompts[-1], *prompts[:-1]])
        after = read_coverage(folder, holdout_percent=percent)
    assert set(before) < set(after)
    assert [row.prompt for row in after[2:]] == [prompts[-1], *prompts[:-1]]


@settings(deadline=None)
@given(data=st.binary(max_size=300), name=st.sampled_from(["a.jsonl", "a.csv"]))
def test_any_file_gives_rows_or_one_clear_error(data, name):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        try:
            splits = {row.split for row in read_coverage(folder)}
        except UserError as error:
            message = str(error)
        else:
            message = ""
    assert folder in message or splits == set(COVERAGE_SPLITS)


NAMES = st.sampled_from(["id", "prompt", "output", "split", "tags", "messages", "role", "content"])
ANY = st.text(st.characters(exclude_categories=[]), max_size=6)  # halves of surrogate pairs, too
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY
    | st.sampled_from(["seed", "holdout", "user", "assistant", "system"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | ANY, inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(rows=st.lists(st.dictionaries(NAMES | ANY, VALUES, max_size=5), max_size=4))
def test_any_objects_are_rows_that_can_be_sent_or_told_by_their_line(rows):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "rows.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
        try:
            found, message = read_coverage(folder), ""
        except UserError as error:
            found, message = [], str(error)
    message.encode()  # it can be printed
    assert folder in message or found
    for row in found:
        assert row.prompt.strip()
        assert row.output.strip()
        row.to_json().encode()
    assert len({row.id for row in found}) == len(found)
