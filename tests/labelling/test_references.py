import dataclasses
import json
import subprocess

import pytest

from core.errors import UserError
from core.records import Vote
from labelling.coverage_diff import Replacement, coverage_diff
from labelling.references import ReferenceQueue
from task.coverage.reader import read_coverage
from task.privacy import PrivacySettings
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
    new = 'new,\n"one"'
    changes = {"b": Replacement("old", new), "unknown": Replacement("old", "x")}
    diff = coverage_diff(tmp_path, changes, PrivacySettings())
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


X, Y, Z = (f'{{"category": "{name}"}}' for name in "xyz")
SEVERAL = [
    pytest.param([{"output": X, "references": [Y]}], id="a list of references"),
    pytest.param([{"output": X}, {"output": Y}], id="a row for each answer"),
    pytest.param([{"output": X, "id": "s"}, {"output": Y, "id": "other"}], id="ids of their own"),
]


@pytest.fixture
def several(make_run, verdict_rows, tmp_path):
    """A queue with one suspect whose prompt has the right answers X and Y; the judge doubts Y."""

    def make(records):
        template = next(row for row in verdict_rows if row.model == "tuned")
        rows = [
            dataclasses.replace(
                template,
                id="s",
                prompt="Help!",
                model=model,
                output=output,
                references=(X if output == Y else Y,),
                response=response,
                votes=tuple(Vote(2, correct, doubt, "Hm.", place) for place in "ab"),
            )
            for model, output, response, correct, doubt in (
                ("tuned", Y, Z, 5, 2),
                ("base", X, "{}", 1, 5),
            )
        ]
        run = make_run(rows)
        lines = [{"id": "s", "prompt": "Help!", "split": "holdout"} | fields for fields in records]
        lines.append({"prompt": "Hi", "output": X, "split": "seed"})
        kept = "".join(f"{json.dumps(line)}\n" for line in lines)
        (run.coverage_dir / "tickets.jsonl").write_text(kept, encoding="utf-8")
        return run, ReferenceQueue(run)

    return make


def _answers(folder):
    (row,) = (row for row in read_coverage(str(folder)) if row.prompt == "Help!")
    return row.output, row.references


@pytest.mark.parametrize("records", SEVERAL)
def test_of_several_right_answers_the_one_in_doubt_is_shown_and_replaced(several, records):
    run, queue = several(records)
    (suspect,) = queue.suspects
    assert (suspect.reference, suspect.proposal) == (Y, Z)
    queue.decide(suspect, "edit", Z, "ada")
    _apply(run.coverage_dir, queue.diff())
    assert _answers(run.coverage_dir) == (X, (Z,))
    assert queue.diff() == ""


@pytest.mark.parametrize("records", SEVERAL)
def test_to_keep_one_of_several_right_answers_changes_none(several, records):
    _, queue = several(records)
    queue.decide(queue.suspects[0], "keep", "", "ada")
    assert queue.diff() == ""


def test_an_edit_into_another_right_answer_leaves_that_one(several):
    run, queue = several([{"output": X, "references": [Y]}])
    queue.decide(queue.suspects[0], "edit", X, "ada")
    _apply(run.coverage_dir, queue.diff())
    assert _answers(run.coverage_dir) == (X, ())


def test_a_right_answer_that_the_dataset_no_longer_holds_is_reported_not_guessed(several):
    run, queue = several([{"output": X, "references": ['{"category": "other"}']}])
    with pytest.raises(UserError, match="by hand"):
        queue.decide(queue.suspects[0], "edit", Z, "ada")
    assert ReferenceQueue(run).decisions == ()
