"""Rounds by the clock."""

import pytest

from core.errors import UserError
from pipeline.vertex.cron import check_cron


def test_a_schedule_runs_a_round_on_a_dataset_that_can_change(run, cloud):
    status, _, errors = run("schedule", "--cron=0 3 * * 1")
    assert status == 2
    assert "coverage_dir=gs://" in errors
    status, told, _ = run(
        "schedule",
        "--cron=CRON_TZ=Europe/Berlin 0 3 * * 1",
        "--max-runs=4",
        coverage_dir="gs://team-bucket/coverage",
        vertex__service_account="tasks@team.iam.gserviceaccount.com",
    )
    assert status == 0
    [schedule] = cloud.schedules
    assert schedule["cron"] == "CRON_TZ=Europe/Berlin 0 3 * * 1"
    assert schedule["maxRunCount"] == "4"
    assert schedule["maxConcurrentRunCount"] == "1"
    request = schedule["createPipelineJobRequest"]["pipelineJob"]
    assert request["serviceAccount"] == "tasks@team.iam.gserviceaccount.com"
    parameters = request["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    assert parameters["coverage_dir"]["defaultValue"] == "gs://team-bucket/coverage"
    assert schedule["name"] in told


def test_unschedule_deletes_the_schedules_of_this_pipeline_and_no_other(run, cloud):
    arguments = ("schedule", "--cron=0 3 * * 1")
    dataset = "gs://team-bucket/coverage"
    run(*arguments, coverage_dir=dataset)
    run(*arguments, coverage_dir=dataset, name="another")
    mine, another = cloud.schedules
    status, told, _ = run("unschedule")
    assert status == 0
    assert cloud.schedules == [another]
    assert told == f"Deleted {mine['name']}\n"
    status, told, _ = run("unschedule")
    assert (status, cloud.schedules) == (0, [another])
    assert "no schedule of 'support-triage' in europe-west4" in told


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 3 * *", "it has 4 fields and not 5"),
        ("0 24 * * 1", "'24' is no hour (0 to 23"),
        ("60 3 * * 1", "'60' is no minute"),
        ("0 3 0 * *", "'0' is no day of the month"),
        ("0 3 * JANUARY *", "'JANUARY' is no month"),
        ("0 3 * * MON-FRI,8", "'MON-FRI,8' is no day of the week"),
        ("0 5-3 * * *", "'5-3' is no hour"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("@weekly", "it has 1 fields and not 5"),
        ("CRON_TZ=Mars/Olympus 0 3 * * 1", "there is no time zone 'Mars/Olympus'"),
        ("CRON_TZ=../etc 0 3 * * 1", "there is no time zone '../etc'"),
    ],
)
def test_times_that_are_none_are_refused_with_the_field(cron, problem):
    with pytest.raises(UserError) as refused:
        check_cron(cron)
    assert problem in str(refused.value)
    assert repr(cron) in str(refused.value)


@pytest.mark.parametrize(
    "cron", ["*/15 * * * *", "TZ=UTC 0 3 1,15 jan-MAR/2 MON-FRI", "5 0-23/6 31 12 7"]
)
def test_times_of_every_form_are_taken(cron):
    check_cron(cron)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("schedule", "--cron=0 3 * *"), "it has 4 fields"),
        (("schedule", "--cron=0 3 * * 1", "--max-runs=0"), "--max-runs 0 would start nothing"),
        (("run", "--max-failures=-1"), "--max-failures -1 would start nothing"),
    ],
)
def test_what_would_never_start_is_refused_before_anything_is_sent(run, cloud, arguments, expected):
    status, _, errors = run(*arguments, coverage_dir="gs://team-bucket/coverage")
    assert status == 2
    assert expected in errors
    assert not cloud.requests
