import io
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.records import LOOP_SPLITS
from task.coverage.persisted import persist_splits, remember_splits
from task.coverage.reader import read_coverage, read_dataset
from task.splits import normalized, split_of


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
    assert "fix 5 lines" in message
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


def test_a_repeated_prompt_is_one_row_with_every_answer_whatever_its_case_and_spaces(folder, pair):
    seed = pair[0] | {"tags": ["a"], "references": ["r"]}
    again = {"prompt": " Seed\n PROMPT ", "tags": ["b", "a"]}
    folder.jsonl("a.jsonl", seed, pair[1], again | {"id": "n", "output": "x", "split": "seed"})
    folder.jsonl("b.jsonl", again | {"output": seed["output"]})
    dataset = read_dataset(folder.path)
    row, other = dataset.rows
    assert (row.id, row.prompt, row.split) == (seed["id"], seed["prompt"], "seed")
    assert (row.output, row.references) == (seed["output"], ("r", "x"))
    assert row.tags == ("a", "b")
    assert (other.id, other.references) == (pair[1]["id"], ())
    assert dataset.merged == 2


def test_a_repeated_prompt_stays_in_the_split_that_it_was_assigned(folder):
    rows = [{"id": f"r{n}", "prompt": f"p {n}", "output": "x"} for n in range(20)]
    folder.jsonl("b.jsonl", *rows)
    persist_splits(folder.path)
    before = splits_of(folder)
    folder.jsonl("a.jsonl", *({**row, "id": f"new {row['id']}", "output": "y"} for row in rows))
    assert persist_splits(folder.path) == 0
    assert splits_of(folder) == before
    held = next(row_id for row_id, split in before.items() if split == "holdout")
    folder.jsonl("c.jsonl", {**rows[int(held[1:])], "id": "s", "split": "seed"})
    assert "but in seed instead of holdout: a holdout prompt must not" in refusal(folder.path)


def test_a_prompt_in_both_splits_is_refused_as_an_overlap(folder, pair):
    overlap = {"id": "n", "prompt": "SEED prompt", "output": "a", "split": "holdout"}
    folder.jsonl("a.jsonl", *pair, overlap)
    assert "in holdout instead of seed: a holdout prompt must not be shown" in refusal(folder.path)


def test_a_repeated_row_without_id_is_read_once(folder, pair):
    row = {"prompt": "again", "output": "x"}
    folder.jsonl("a.jsonl", *pair, row, row)
    assert [(row.output, row.references) for row in read_coverage(folder.path)][2:] == [("x", ())]


def test_system_messages_that_differ_are_refused(folder):
    def chat(system, user):
        contents = (("system", system), ("user", user), ("assistant", "a"))
        return {"messages": [{"role": role, "content": text} for role, text in contents]}

    folder.jsonl("a.jsonl", chat("be kind", "1"), chat("be kind", "2"), chat("be rude", "3"))
    message = refusal(folder.path)
    assert "a.jsonl:3: another system message" in message
    assert "fix 1 line" in message


@pytest.mark.parametrize("path", ["", "nowhere", "file.txt"])
def test_a_missing_folder_is_named(tmp_path, path):
    (tmp_path / "file.txt").touch()
    folder = str(tmp_path / path) if path else ""
    assert f"There is no folder {folder!r}" in refusal(folder)


def test_a_bucket_is_copied_before_it_is_read_on_this_machine():
    told = refusal("gs://team-bucket/coverage")
    assert "rsync --recursive gs://team-bucket/coverage FOLDER, and give the copy" in told


def test_a_folder_without_data_files_says_what_it_found(folder):
    folder.bytes("rows.xlsx", b"")
    message = refusal(folder.path)
    assert "contains no *.jsonl or *.csv file" in message
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
        for split in LOOP_SPLITS:
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
    assert folder in message or splits >= set(LOOP_SPLITS)


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


def rows_by_tag(count, start=0):
    return [
        {"id": f"r{n}", "prompt": f"prompt {n}", "output": "x", "tags": [f"tag-{n % 3}"]}
        for n in range(start, start + count)
    ]


def splits_of(folder):
    return {row.id: row.split for row in read_coverage(folder.path)}


def test_persisted_splits_are_balanced_and_stay_when_rows_are_added(folder):
    folder.jsonl("a.jsonl", *rows_by_tag(30))
    assert persist_splits(folder.path) == 30
    before = splits_of(folder)
    for tag in range(3):
        held = [before[f"r{n}"] == "holdout" for n in range(30) if n % 3 == tag]
        assert sum(held) == 5
    assert persist_splits(folder.path) == 0
    folder.jsonl("b.jsonl", *rows_by_tag(12, start=30))
    assert persist_splits(folder.path) == 12
    after = splits_of(folder)
    assert {row_id: after[row_id] for row_id in before} == before
    assert sum(split == "holdout" for split in after.values()) == 21


def test_a_split_that_a_row_names_is_never_overruled(folder, pair):
    folder.jsonl(
        "a.jsonl", *rows_by_tag(4), *(row | {"split": "seed"} for row in rows_by_tag(4, 4))
    )
    persist_splits(folder.path)
    splits = splits_of(folder)
    assert {splits[f"r{n}"] for n in range(4, 8)} == {"seed"}
    assert sum(split == "holdout" for split in splits.values()) in (3, 4)


def test_where_all_rows_name_their_split_nothing_is_written(folder, pair):
    folder.jsonl("a.jsonl", *pair)
    assert persist_splits(folder.path) == 0
    assert os.listdir(folder.path) == ["a.jsonl"]


def test_a_handful_of_rows_that_hashes_put_in_one_split_is_balanced(folder):
    ids = [f"r{n}" for n in range(200) if split_of(f"r{n}") == "seed"][:8]
    folder.jsonl("a.jsonl", *({"id": i, "prompt": f"p {i}", "output": "x"} for i in ids))
    with pytest.raises(UserError, match="no holdout row"):
        read_coverage(folder.path)
    persist_splits(folder.path)
    assert sorted(splits_of(folder).values()) == ["holdout"] * 4 + ["seed"] * 4


@pytest.mark.parametrize(
    "content", [b"", b"id;split\n", b"id,split\nr1,train\n", b"id,split\nr1\n", b"\xff\xfe"]
)
def test_a_damaged_file_of_splits_is_named(folder, pair, content):
    folder.jsonl("a.jsonl", *pair)
    folder.bytes("splits.csv", content)
    with pytest.raises(UserError, match=r"splits\.csv.*restore it"):
        read_coverage(folder.path)


def test_from_120_rows_on_a_quarter_is_kept_for_one_last_look(folder):
    folder.jsonl("a.jsonl", *[{"prompt": f"row {n}", "output": "x"} for n in range(119)])
    persist_splits(folder.path)
    judged = {row.id: row.split for row in read_coverage(folder.path)}
    assert set(judged.values()) == {"seed", "holdout"}
    folder.jsonl("b.jsonl", *[{"prompt": f"more {n}", "output": "x"} for n in range(21)])
    persist_splits(folder.path)
    rows = read_coverage(folder.path)
    assert {row.split for row in rows if row.id not in judged} == {"test"}, "none that was judged"
    assert all(judged.get(row.id, row.split) == row.split for row in rows)
    folder.jsonl("c.jsonl", *[{"prompt": f"other {n}", "output": "x"} for n in range(60)])
    persist_splits(folder.path)
    counts = Counter(row.split for row in read_coverage(folder.path))
    assert counts["test"] == 50
    assert counts["seed"] == counts["holdout"] == 75


def test_the_share_of_the_test_split_can_be_set(folder):
    folder.jsonl("a.jsonl", *[{"prompt": f"row {n}", "output": "x"} for n in range(150)])
    persist_splits(folder.path, test_percent=0)
    assert not any(row.split == "test" for row in read_coverage(folder.path))
    Path(folder.path, "splits.csv").unlink()
    persist_splits(folder.path, test_percent=40)
    assert sum(row.split == "test" for row in read_coverage(folder.path)) == 60


def test_a_row_that_a_run_may_have_judged_cannot_be_named_test(folder):
    folder.jsonl("a.jsonl", *[{"id": n, "prompt": f"row {n}", "output": "x"} for n in range(9)])
    persist_splits(folder.path)
    first = read_coverage(folder.path)[0]
    rows = [{"id": n, "prompt": f"row {n}", "output": "x"} for n in range(9)]
    folder.jsonl("a.jsonl", rows[0] | {"split": "test"}, *rows[1:])
    with pytest.raises(UserError, match=f"splits.csv says that it was {first.split}"):
        read_coverage(folder.path)


NAMED = [
    {"id": str(n), "prompt": f"row {n}", "output": "x", "split": ("seed", "holdout")[n % 2]}
    for n in range(160)
]


def test_rows_that_named_their_split_are_no_test_rows_after_a_run(folder):
    folder.jsonl("a.jsonl", *NAMED)
    assert persist_splits(folder.path, remember_named=True) == 0
    without = [{key: row[key] for key in ("id", "prompt", "output")} for row in NAMED]
    folder.jsonl("a.jsonl", *without)
    persist_splits(folder.path)
    assert splits_of(folder) == {row["id"]: row["split"] for row in NAMED}
    folder.jsonl("a.jsonl", *NAMED[:-1], NAMED[-1] | {"split": "test"})
    with pytest.raises(UserError, match=r"splits\.csv says that it was holdout"):
        read_coverage(folder.path)


def test_a_test_row_that_a_run_has_as_holdout_is_none_again(folder):
    rows = [row | {"split": "test"} if row["id"] == "0" else row for row in NAMED]
    folder.jsonl("a.jsonl", *rows)
    persist_splits(folder.path, remember_named=True)
    folder.jsonl("a.jsonl", rows[0] | {"split": "holdout"}, *rows[1:])
    persist_splits(folder.path, remember_named=True)
    folder.jsonl("a.jsonl", *rows)
    with pytest.raises(UserError, match="row '0' names the split test"):
        read_coverage(folder.path)


def test_rows_that_another_machine_judges_are_no_test_rows_later(folder):
    """There they are as they are here: the rows of no file have the split of their hash."""
    plain = [{key: row[key] for key in ("id", "prompt", "output")} for row in NAMED]
    folder.jsonl("a.jsonl", *NAMED[:80], *plain[80:])
    judged = splits_of(folder)
    remember_splits(folder.path)
    folder.jsonl("a.jsonl", *plain)
    persist_splits(folder.path, test_percent=40)
    assert splits_of(folder) == judged


def test_a_folder_that_cannot_be_written_is_judged_all_the_same(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    folder.jsonl("a.jsonl", *NAMED)
    monkeypatch.setattr("task.coverage.persisted.write_splits", refuse)
    remember_splits(folder.path)


def test_a_dataset_whose_rows_name_their_split_need_not_be_writable(folder, monkeypatch):
    folder.jsonl("a.jsonl", *NAMED)

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("task.coverage.persisted.write_splits", refuse)
    assert persist_splits(folder.path, remember_named=True) == 0
    folder.jsonl("b.jsonl", {"prompt": "new", "output": "x"})
    with pytest.raises(PermissionError):
        persist_splits(folder.path, remember_named=True)
