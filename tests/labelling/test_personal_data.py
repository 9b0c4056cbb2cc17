"""A reference of a redacted run goes into the coverage files with what its placeholders mean."""

import dataclasses
import json
import subprocess

import pytest

from core.errors import UserError
from core.records import Vote
from labelling.references import ReferenceQueue
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_row
from task.privacy import PrivacySettings

ON = PrivacySettings(redact=True)
PROMPT = "I am ada@example.org. Write to bob@example.org and carl@example.org."
TO_BOB, TO_BOTH = '{"to": "bob@example.org"}', '{"to": "carl@example.org bob@example.org"}'
RIGHT_PROPOSAL = '{"to": "[EMAIL_3] [EMAIL_2]"}'


@pytest.fixture
def queue_of(make_run, verdict_rows):
    """A redacted run that proposes an answer for one row of a coverage dataset."""

    def make(proposal, records=({"output": TO_BOB},), privacy=ON, prompt=PROMPT):
        folder = make_run().coverage_dir
        lines = [{"prompt": prompt, "split": "holdout"} | fields for fields in records]
        lines[0]["id"] = "s"
        lines.append({"prompt": "Hi", "output": TO_BOB, "split": "seed"})
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / "tickets.jsonl").write_text(text, encoding="utf-8")
        row = _redacted(folder, privacy)
        template = next(row for row in verdict_rows if row.model == "tuned")
        verdicts = [
            dataclasses.replace(
                template,
                id="s",
                model=model,
                prompt=row.prompt,
                output=row.output,
                references=row.references,
                response=response,
                votes=tuple(Vote(2, correct, 2, "Hm.", place) for place in "ab"),
            )
            for model, response, correct in (("tuned", proposal, 5), ("base", "{}", 1))
        ]
        run = make_run(verdicts, privacy=privacy)
        (folder / "tickets.jsonl").write_text(text, encoding="utf-8")
        return run, ReferenceQueue(run)

    return make


def _row(folder):
    return next(row for row in read_coverage(str(folder)) if row.prompt != "Hi")


def _redacted(folder, privacy=ON):
    return redacted_row(_row(folder), privacy)


def _apply(run, queue):
    subprocess.run(
        ["git", "apply", "-p1"], cwd=run.coverage_dir, input=queue.diff(), text=True, check=True,
        capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("choice", ["accept", "edit"])
def test_the_next_run_redacts_the_row_to_the_reference_that_was_chosen(queue_of, choice):
    run, queue = queue_of(RIGHT_PROPOSAL)
    before = _redacted(run.coverage_dir)
    queue.decide(queue.suspects[0], choice, RIGHT_PROPOSAL, "ada")
    assert "EMAIL" not in queue.diff()
    _apply(run, queue)
    assert _row(run.coverage_dir).output == TO_BOTH
    after = _redacted(run.coverage_dir)
    assert after == dataclasses.replace(before, output=RIGHT_PROPOSAL)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ('{"to": "BOB@example.org", "urgent": false}', '{"to": "[EMAIL_2]", "urgent": true}'),
        ('{"card": 4111111111111111, "urgent": false}', '{"card": "[CARD_1]", "urgent": true}'),
    ],
    ids=["spelling", "number"],
)
def test_values_that_stay_are_written_as_in_the_answer_that_is_edited(queue_of, output, shown):
    run, queue = queue_of('{"urgent": true}', ({"output": output},))
    queue.decide(queue.suspects[0], "edit", shown, "ada")
    _apply(run, queue)
    assert _row(run.coverage_dir).output == output.replace("false", "true")


def test_of_several_right_answers_the_redacted_one_in_doubt_is_replaced(queue_of):
    other = '{"to": "ada@example.org"}'
    records = ({"output": other}, {"output": TO_BOB})
    run, queue = queue_of(RIGHT_PROPOSAL, records)
    suspect = queue.suspects[0]._replace(reference='{"to": "[EMAIL_2]"}')
    queue.suspects = (suspect,)
    queue.decide(suspect, "accept", "", "ada")
    _apply(run, queue)
    row = _row(run.coverage_dir)
    assert (row.output, row.references) == (other, (TO_BOTH,))


def test_after_it_was_applied_nothing_is_left_of_it_though_placeholders_have_other_numbers(
    queue_of,
):
    """Where only the reference names people, a changed order gives them changed numbers."""
    run, queue = queue_of(
        '{"to": "[EMAIL_2] [EMAIL_1]"}',
        ({"output": '{"to": "bob@example.org carl@example.org"}'},),
        prompt="Who is on call?",
    )
    queue.decide(queue.suspects[0], "accept", "", "ada")
    _apply(run, queue)
    assert _row(run.coverage_dir).output == TO_BOTH
    assert ReferenceQueue(run).diff() == ""


@pytest.mark.parametrize("choice", ["accept", "edit"])
def test_a_placeholder_that_stands_for_nothing_is_refused(queue_of, choice):
    text = '{"to": "[EMAIL_4]"}'
    run, queue = queue_of(text)
    with pytest.raises(UserError, match=r"row 's' has \[EMAIL_4\], which stands for nothing"):
        queue.decide(queue.suspects[0], choice, text, "ada")
    assert queue.decisions == ()
    assert not (run.folder / "references.diff").exists()


def test_a_placeholder_that_the_coverage_file_itself_holds_stays(queue_of):
    proposal = '{"to": "[EMAIL_1] [EMAIL_2]"}'
    run, queue = queue_of(proposal, prompt="Write [EMAIL_1] and bob@example.org")
    queue.decide(queue.suspects[0], "accept", "", "ada")
    _apply(run, queue)
    assert _row(run.coverage_dir).output == '{"to": "[EMAIL_1] bob@example.org"}'


def test_a_run_that_does_not_redact_takes_placeholders_for_text(queue_of):
    run, queue = queue_of(RIGHT_PROPOSAL, privacy=PrivacySettings())
    queue.decide(queue.suspects[0], "accept", "", "ada")
    _apply(run, queue)
    assert _row(run.coverage_dir).output == RIGHT_PROPOSAL


def test_a_kept_reference_of_a_redacted_run_changes_nothing(queue_of):
    _, queue = queue_of(RIGHT_PROPOSAL)
    queue.decide(queue.suspects[0], "keep", "", "ada")
    assert queue.diff() == ""
