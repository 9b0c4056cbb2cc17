import json
import subprocess

import pytest

from core.errors import UserError
from labelling.coverage_diff import coverage_diff
from labelling.references import ReferenceQueue
from task.coverage.reader import read_coverage
from tests.labelling.conftest import SUSPECT_IDS


def _apply(folder, diff):
    subprocess.run(
        ["git", "apply", "-p1"], cwd=folder, input=diff, text=True, check=True, capture_output=True
    )


def _outputs(folder):
    return {row.id: row.output for row in read_coverage(str(folder))}


def test_the_rows_whose_reference_the_judge_disagrees_with_are_the_queue(make_run):
    queue = ReferenceQueue(make_run())
    assert tuple(suspect.id for suspect in queue.suspects) == SUSPECT_IDS
    for suspect in queue.suspects:
        assert suspect.proposal not in (None, suspect.reference)


def test_every_decision_is_on_the_disk_at_once_and_resumes(make_run):
    run = make_run()
    queue = ReferenceQueue(run)
    queue.decide(queue.next(), "keep", "", "ada")
    resumed = ReferenceQueue(run)
    assert resumed.decisions == queue.decisions
    assert resumed.next().id == SUSPECT_IDS[1]


@pytest.fixture
def edited(make_run):
    """A run in which one reference was replaced by the proposal, and one was edited."""
    run = make_run()
    queue = ReferenceQueue(run)
    first, second = queue.suspects
    text = '{"category": "other", "priority": "low", "product": "Kürbis\u2028"}'
    queue.decide(first, "accept", "", "ada")
    queue.decide(second, "edit", text, "ada")
    return run, {first.id: first.proposal, second.id: text}


def test_the_diff_applies_and_changes_the_edited_references_alone(edited):
    run, references = edited
    before = _outputs(run.coverage_dir)
    lines = (run.coverage_dir / "tickets.jsonl").read_text(encoding="utf-8").split("\n")
    _apply(run.coverage_dir, (run.folder / "references.diff").read_text(encoding="utf-8"))
    assert _outputs(run.coverage_dir) == before | references
    after = (run.coverage_dir / "tickets.jsonl").read_text(encoding="utf-8").split("\n")
    changed = [json.loads(old)["id"] for old, new in zip(lines, after, strict=True) if old != new]
    assert changed == list(references)


def test_nothing_but_a_person_changes_the_coverage_dataset(make_run):
    run = make_run()
    before = (run.coverage_dir / "tickets.jsonl").read_bytes()
    queue = ReferenceQueue(run)
    queue.decide(queue.suspects[0], "accept", "", "ada")
    assert (run.coverage_dir / "tickets.jsonl").read_bytes() == before


def test_after_the_diff_was_applied_nothing_is_left_of_it(edited):
    run, _ = edited
    _apply(run.coverage_dir, ReferenceQueue(run).diff())
    assert ReferenceQueue(run).diff() == ""


def test_a_kept_reference_is_no_part_of_the_diff(make_run):
    run = make_run()
    queue = ReferenceQueue(run)
    for suspect in queue.suspects:
        queue.decide(suspect, "keep", "", "ada")
    assert queue.next() is None
    assert (run.folder / "references.diff").read_text() == ""


@pytest.mark.parametrize("text", ["", "  \n", "no JSON", '["a list"]'])
def test_an_edit_that_cannot_be_a_reference_is_refused(make_run, text):
    queue = ReferenceQueue(make_run())
    with pytest.raises(UserError, match="edited"):
        queue.decide(queue.suspects[0], "edit", text, "ada")
    assert queue.decisions == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(
            "pairs.csv",
            'id,prompt,output,split\na,Hi,"x, ""y""",seed\n'
            'b,"two\nlines","old\none",holdout\nc,Z,z,',
            id="CSV with line breaks in cells and no line break at its end",
        ),
        pytest.param(
            "pairs.csv",
            "prompt,id,output,split\r\nHi,a,x,seed\r\nHo,b,old,holdout\r\nZ,c,z,\r\n",
            id="CSV of a spreadsheet",
        ),
        pytest.param(
            "pairs.jsonl",
            '{"id":"a","prompt":"Hi","output":"x","split":"seed"}\n'
            '{"id":"b","split":"holdout","messages":[{"role":"user","content":"Ho\u2028"},'
            '{"role":"assistant","content":"old"}]}\n{"id":"c","prompt":"Z","output":"z"}',
            id="compact JSON lines, a conversation, no line break at the end",
        ),
        pytest.param(
            "pairs.jsonl",
            '{"id": "b", "messages": [{"role": "user", "content": "Ho"}, {"role": "assistant", '
            '"content": "Hm"}, {"role": "user", "content": "Hi"}], "output": "old", '
            '"split": "holdout"}\n{"id": "a", "prompt": "Z", "output": "x", "split": "seed"}\n',
            id="a conversation whose answer stands apart",
        ),
        pytest.param(
            "pairs.jsonl",
            '\ufeff{"id": "b", "prompt": "Z\\u00fc", "output": "old", "split": "holdout"}\n'
            '{"id": "a", "prompt": "Hi", "output": "x", "split": "seed"}\n',
            id="a byte order mark, escaped letters",
        ),
        pytest.param(
            "pairs.jsonl",
            '{"id": "b", "prompt": "Z", "output": "old", "split": "holdout"}\n'
            '{"id": "a", "prompt": "Hi", "output": "x", "split": "seed"}\n'
            '{"id": "b", "prompt": "Z", "output": "also right", "split": "holdout"}\n',
            id="a prompt with two rows, of which the first holds the reference",
        ),
    ],
)
def test_the_diff_keeps_how_a_file_is_written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    before = read_coverage(str(tmp_path))
    diff = coverage_diff(tmp_path, {"b": 'new,\n"one"', "unknown": "x"})
    _apply(tmp_path, diff)
    after = read_coverage(str(tmp_path))
    assert [row.output for row in after] == [
        'new,\n"one"' if row.id == "b" else row.output for row in before
    ]
    assert [_kept(row) for row in after] == [_kept(row) for row in before]
    written = path.read_bytes().decode("utf-8")
    old, new = (set(text.split("\n")) for text in (content, written))
    assert len(old - new) <= 3, "only the lines of the edited row change"


def _kept(row):
    return row.id, row.prompt, row.split, row.references
