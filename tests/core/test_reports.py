"""Records are read as they were written, and files of the first version are read or refused."""

import json
import os
from pathlib import Path

import pytest

from core import artifact_files
from core.errors import UserError
from core.jsonl import read_rows
from core.records import ResponseRow, VerdictRow
from core.reports.coverage import CoverageReport
from core.reports.loop import LoopSummary
from core.reports.report import SCHEMA_VERSION
from core.reports.synthesis import SynthesisRecord
from core.reports.training import TrainingRecord

EARLIER = Path(__file__).parent / "earlier"  # as the first version wrote them, without a version
READABLE = {
    artifact_files.COVERAGE_REPORT: CoverageReport,
    artifact_files.SYNTHESIS: SynthesisRecord,
    artifact_files.TRAINING: TrainingRecord,
}


def earlier(name):
    return (EARLIER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READABLE)
def test_a_record_of_the_first_version_is_read_and_written_with_todays_version(name):
    record = READABLE[name].read(str(EARLIER / name))
    written = json.loads(record.to_json())
    assert written["schema_version"] == SCHEMA_VERSION
    assert READABLE[name].from_json(record.to_json(), name) == record


def test_no_value_of_an_earlier_coverage_report_is_lost():
    old = json.loads(earlier(artifact_files.COVERAGE_REPORT))
    report = CoverageReport.from_json(json.dumps(old), "old")
    assert report.judge.correctness_threshold == old["judge"].pop("precision_threshold") == 4.0
    suspect = old["consistency"].pop("doubtful_outputs")
    assert list(report.consistency.suspect_references) == suspect
    new = json.loads(report.to_json())
    for model, splits in old["baselines"].items():
        for split, entry in splits.items():
            entry.setdefault("relative", None)
            assert new["baselines"][model][split] == entry
    assert _without(new, old.keys()) == {
        "schema_version": SCHEMA_VERSION,
        "strict": {},
        "failures": [],
        "advice": [],
        "sealed_prompts": 0,
        "last_look": None,
        "service_answers": None,
        "own_answers": None,
    }
    for key in old.keys() - {"judge", "consistency"}:
        assert new[key] == _with_later_counts(key, old[key]), key


def _with_later_counts(key, value):
    """What an earlier record says, with what was not counted then."""
    if key == "calibration":
        return value | {"prediction_powered": {}, "unsure": 0}
    if key == "gate":
        rule = {"rule": "similar_and_correct", "relative_threshold_percent": None, "relative": None}
        return value | rule
    if key == "exports":
        return {name: facts | {"custom_ops": []} for name, facts in value.items()}
    return value | {"unknown_calls": 0, "model_versions": []} if "usage" in key else value


def _without(values, keys):
    return {key: value for key, value in values.items() if key not in keys}


@pytest.mark.parametrize("name", [artifact_files.SYNTHESIS, artifact_files.TRAINING])
def test_no_value_of_another_earlier_record_is_lost(name):
    old = json.loads(earlier(name))
    new = json.loads(READABLE[name].from_json(json.dumps(old), name).to_json())
    assert {key: new[key] for key in old} == {
        key: _with_later_counts(key, value) for key, value in old.items()
    }


def test_verdicts_of_the_first_version_are_read_under_todays_names():
    text = earlier(artifact_files.VERDICTS)
    old = [json.loads(line) for line in text.splitlines()]
    rows = read_rows(text, "verdicts.jsonl", VerdictRow.from_json)
    assert [row.correctness for row in rows] == [line["precision"] for line in old]
    for row, line in zip(rows, old, strict=True):
        assert [(v.correctness, v.reference_correctness, v.position) for v in row.votes] == [
            (v["precision"], v["output_precision"], v["candidate_position"]) for v in line["votes"]
        ]
        assert (row.prompt, row.response, row.scores) == (
            line["prompt"], line["response"], line["scores"],
        )  # fmt: skip


def test_a_text_that_quotes_an_old_name_is_not_changed():
    line = json.loads(earlier(artifact_files.VERDICTS).splitlines()[0])
    quoted = '{"precision": 5, "output_precision": 1}'
    row = VerdictRow.from_json(json.dumps(line | {"response": quoted, "reason": '"precision":'}))
    assert (row.response, row.reason) == (quoted, '"precision":')
    again = VerdictRow.from_json(row.to_json())
    assert again == row


def test_responses_of_the_first_version_are_read():
    rows = read_rows(earlier(artifact_files.RESPONSES), "r", ResponseRow.from_json)
    assert [row.id for row in rows] == ["0", "1", "2"]


def test_an_earlier_summary_is_refused_with_file_version_and_what_to_do():
    path = EARLIER / artifact_files.SUMMARY
    with pytest.raises(UserError) as refused:
        LoopSummary.read(str(path))
    assert str(path) in str(refused.value)
    assert "schema version 1" in str(refused.value)
    assert "reads 2" in str(refused.value)
    assert "run the pipeline again" in str(refused.value)


@pytest.mark.parametrize("kind", [*READABLE.values(), LoopSummary])
def test_a_file_of_a_later_version_is_refused(kind):
    with pytest.raises(UserError, match=r"there\.json has schema version 3.*a later one"):
        kind.from_json('{"schema_version": 3}', "there.json")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", "[" * 100_000, '{"schema_version": 2, "round": "first"}', '{"x": 1}'],
)
@pytest.mark.parametrize("kind", READABLE.values())
def test_a_damaged_record_is_named(kind, text):
    with pytest.raises(UserError, match=r"^there\.json: this is not what the component wrote"):
        kind.from_json(text, "there.json")


def test_a_record_that_is_no_text_is_named(tmp_path):
    path = tmp_path / artifact_files.TRAINING
    path.write_bytes(os.urandom(64) + b"\xff")
    with pytest.raises(UserError, match=r"training\.json.*is not UTF-8"):
        TrainingRecord.read(str(path))


def test_the_record_of_a_training_that_diverged_in_an_earlier_version_is_read():
    record = TrainingRecord.read(str(EARLIER / artifact_files.TRAINING))
    nan = record.model_copy(update={"losses": (1.0, float("nan"))})
    assert str(TrainingRecord.from_json(nan.to_json(), "t").losses) == "(1.0, nan)"


def test_records_cannot_be_changed():
    report = CoverageReport.read(str(EARLIER / artifact_files.COVERAGE_REPORT))
    with pytest.raises(ValueError, match="frozen"):
        report.gate.passed = True
