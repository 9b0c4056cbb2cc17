import dataclasses

import pytest

from core.errors import UserError
from judging.label_sheet import Decision, read_sheet
from judging.labels import read_labels
from judging.last_look import make_last_look
from judging.settings import EvaluatorSettings
from labelling.label_queue import LabelQueue
from labelling.run import read_run

YES, NO, UNSURE = Decision("covered"), Decision("not covered"), Decision("unsure")


def test_disagreement_of_judge_and_strict_scorer_comes_first(make_run):
    sheet = LabelQueue(make_run()).sheet
    strata = [row.stratum for row in sheet.rows]
    doubtful = strata.count("judge only") + strata.count("strict only")
    assert doubtful == 2
    assert set(strata[:doubtful]) <= {"judge only", "strict only"}
    assert {"both", "neither"} <= set(strata[doubtful:8])


def test_every_label_is_on_the_disk_at_once_and_resumes(make_run):
    run = make_run()
    queue = LabelQueue(run)
    first = queue.next_key("ada")
    queue.decide(first, "ada", Decision("covered", "same, in other words"))
    resumed = LabelQueue(run)
    assert resumed.sheet == queue.sheet
    assert resumed.row(first).decisions == {"ada": Decision("covered", "same, in other words")}
    assert resumed.next_key("ada") == queue.next_key("ada") != first


def test_the_sheet_is_a_file_of_labels_that_the_evaluator_reads(make_run):
    queue = LabelQueue(make_run())
    for decision in (YES, NO, UNSURE):
        queue.decide(queue.next_key("ada"), "ada", decision)
    text = queue.path.read_text(encoding="utf-8")
    labels = read_labels(text, "labels.csv")
    assert [label.covered for label in labels] == [True, False]
    assert [label.judged for label in labels] == [row.judged for row in queue.sheet.rows[:2]]


def test_probabilities_are_the_labelled_share_of_each_stratum(make_run):
    queue = LabelQueue(make_run())
    for _ in range(4):
        queue.decide(queue.next_key("ada"), "ada", YES)
    sheet = read_sheet(queue.path.read_text(encoding="utf-8"), "labels.csv")
    for stratum, share in sheet.probabilities().items():
        members = [row for row in sheet.rows if row.stratum == stratum]
        assert share == sum(row.covered is not None for row in members) / len(members)
    assert sheet.probabilities()["judge only"] == 1
    assert sum(row.covered is not None for row in sheet.rows) == 4


def test_each_rater_is_asked_about_every_answer_once(make_run):
    queue = LabelQueue(make_run())
    for rater in ("ada", "bob"):
        asked = []
        while (key := queue.next_key(rater)) is not None:
            asked.append(key)
            queue.decide(key, rater, YES)
        assert len(asked) == len(set(asked)) == len(queue.sheet.rows)


@pytest.mark.parametrize(
    ("decisions", "covered"),
    [
        pytest.param({"ada": YES}, True, id="one"),
        pytest.param({"ada": NO, "bob": NO}, False, id="both"),
        pytest.param({"ada": YES, "bob": NO}, None, id="they contradict each other"),
        pytest.param({"ada": UNSURE}, None, id="unsure"),
        pytest.param({"ada": UNSURE, "bob": NO}, False, id="one is unsure"),
    ],
)
def test_only_what_raters_agree_on_is_a_label(make_run, decisions, covered):
    queue = LabelQueue(make_run())
    key = queue.next_key("ada")
    for rater, decision in decisions.items():
        queue.decide(key, rater, decision)
    assert queue.row(key).covered is covered


def test_the_agreement_of_two_raters_leaves_out_what_one_is_unsure_of(make_run):
    queue = LabelQueue(make_run())
    keys = []
    for decision in (YES, YES, NO, UNSURE):
        keys.append(queue.next_key("ada"))
        queue.decide(keys[-1], "ada", decision)
    assert queue.agreement() is None
    for key, decision in zip(keys, (YES, NO, NO, YES), strict=True):
        queue.decide(key, "bob", decision)
    found = queue.agreement()
    assert (found.rows, found.both, found.neither, found.only_first) == (3, 1, 1, 1)
    assert queue.contradictions() == [keys[1]]


def test_going_back_replaces_the_earlier_decision(make_run):
    queue = LabelQueue(make_run())
    first = queue.next_key("ada")
    queue.decide(first, "ada", YES)
    assert queue.previous_key("ada", queue.next_key("ada")) == first
    queue.decide(first, "ada", NO)
    assert queue.row(first).decisions["ada"] == NO
    assert queue.decided("ada") == 1


def test_a_third_rater_is_refused(make_run):
    queue = LabelQueue(make_run())
    key = queue.next_key("ada")
    for rater in ("ada", "bob"):
        queue.decide(key, rater, YES)
    with pytest.raises(UserError, match="this one has ada and bob"):
        queue.decide(key, "eve", YES)


@pytest.mark.parametrize("rater", ["", "a\nb", "x" * 61], ids=["empty", "two lines", "too long"])
def test_a_name_must_fit_a_cell(make_run, rater):
    with pytest.raises(UserError, match="printable"):
        LabelQueue(make_run()).check_rater(rater)


def test_labels_of_other_answers_are_not_overwritten(make_run, verdict_rows):
    queue = LabelQueue(make_run())
    queue.decide(queue.next_key("ada"), "ada", YES)
    before = queue.path.read_bytes()
    others = [dataclasses.replace(row, response="another answer") for row in verdict_rows]
    with pytest.raises(UserError, match="a different evaluation"):
        LabelQueue(make_run(others))
    assert queue.path.read_bytes() == before


def test_a_label_that_was_changed_by_hand_to_nonsense_is_named(make_run):
    queue = LabelQueue(make_run())
    queue.decide(queue.next_key("ada"), "ada", YES)
    text = queue.path.read_text(encoding="utf-8")
    queue.path.write_text(text.replace(",ada,covered,", ",ada,perhaps,"), encoding="utf-8")
    with pytest.raises(UserError, match="label_1 is 'perhaps'"):
        LabelQueue(make_run())


def test_answers_of_a_model_that_was_not_judged_cannot_be_labelled(make_run):
    with pytest.raises(UserError, match="answers from tuned, base"):
        LabelQueue(make_run(model="service"))


def test_labels_of_prompts_with_several_right_answers_resume(make_run, verdict_rows):
    run = make_run([dataclasses.replace(row, references=("{}",)) for row in verdict_rows])
    queue = LabelQueue(run)
    first = queue.next_key("ada")
    queue.decide(first, "ada", YES)
    resumed = LabelQueue(run)
    assert resumed.row(first).decisions == {"ada": YES}
    assert resumed.row(first).judged.references == ("{}",)


@pytest.fixture
def read(make_run, verdict_rows, tmp_path):
    """Reads the evaluation whose test split was judged, or not."""

    def make(split, judged):
        run = make_run()
        sealed = [
            dataclasses.replace(row, id=f"s-{row.id}", prompt=f"{row.prompt} Soon?", split="test")
            for row in verdict_rows
        ]
        report = run.report
        if judged:
            tuned = [row for row in sealed if row.model == "tuned"]
            look = make_last_look({"tuned": tuned}, EvaluatorSettings(), looks=1, kind="json")
            report = report.model_copy(update={"last_look": look})
        folder = tmp_path / "report"
        folder.mkdir()
        (folder / "coverage_report.json").write_text(report.to_json(), encoding="utf-8")
        for name, rows in (("verdicts", verdict_rows), ("test_verdicts", sealed)):
            lines = "".join(f"{row.to_json()}\n" for row in rows)
            (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        return read_run(
            str(folder), run.folder, run.coverage_dir, model="tuned", split=split, count=8,
            privacy=run.privacy,
        )  # fmt: skip

    return make


@pytest.mark.parametrize(("split", "of"), [("test", "test"), ("overall", "holdout")])
def test_the_answers_of_the_test_split_are_labelled_by_themselves(read, split, of):
    run = read(split, judged=True)
    assert {row.split for row in run.answers} == {of}
    assert len(LabelQueue(run).sheet.rows) == len(run.answers)


def test_a_test_split_that_was_not_judged_cannot_be_labelled(read):
    with pytest.raises(UserError, match="was not judged in round 1"):
        read("test", judged=False)
