"""Rounds by the clock."""


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
