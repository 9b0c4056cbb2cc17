"""A loop that a scheduler carries on, and the end of all of it."""

import re

import pytest

import kubeflow_runner
from tests.kubeflow_commands.jobs import fail, finish, state
from tests.pipeline.vertex.scripts import Scripts

LOOP = "gs://team-bucket/pipelines/loops/support-triage"
NAMES = {
    "PROJECT": "team",
    "IMAGE": "europe-west4-docker.pkg.dev/team/understudy/pipeline:1",
    "LOOP": LOOP,
    "EMAIL": "me@example.com",
}


@pytest.fixture
def deploy(tmp_path):
    return Scripts(tmp_path)


@pytest.fixture
def step(deploy):
    """Takes one step of the loop, as the Cloud Run job does that the script makes."""
    process, commands = deploy("schedule.sh", **NAMES)
    assert process.returncode == 0, process.stderr
    [made] = [command for command in commands if command.startswith("run jobs deploy")]
    arguments = re.search(r"--args=(\S+)", made)[1].split(",")
    return lambda: kubeflow_runner.main(arguments)


def test_a_scheduler_carries_a_loop_through_its_rounds(run, cloud, step, capsys):
    status, told, _ = run("run", "--detach")
    assert (status, len(cloud.jobs)) == (0, 1)
    assert LOOP in told
    for number in (1, 2, 3):
        assert step() == 0
        assert len(cloud.jobs) == number, "nothing is started while a round runs"
        finish(cloud, list(cloud.jobs.values())[-1])
        assert step() == 0
    assert [job["runtimeConfig"]["parameterValues"]["round"] for job in cloud.jobs.values()] == [
        1, 2, 3,
    ]  # fmt: skip
    assert state(cloud)["stop_reason"] == "threshold_met"
    capsys.readouterr()
    assert step() == 0
    assert "Stopped after round 3" in capsys.readouterr().out
    assert len(cloud.jobs) == 3


def test_a_round_that_fails_again_and_again_is_not_paid_for_without_end(run, cloud, step, capsys):
    cloud.on_create = lambda job: fail(job, "Replica exited with code 1")
    run("run", "--detach")
    statuses = [step() for _ in range(5)]
    assert statuses == [2] * 5, "each is an alert"
    assert len(cloud.jobs) == 3
    told = capsys.readouterr().err
    assert "Round 1 has failed 3 times, and --max-failures is 3." in told
    cloud.on_create = lambda job: finish(cloud, job)
    status, *_ = run("run")
    assert status == 0


def test_the_script_schedules_the_step_and_tells_of_failures_and_costs(deploy):
    account = {"BILLING_ACCOUNT": "0-1-2", "BUDGET": "50"}
    process, commands = deploy("schedule.sh", **NAMES, **account)
    assert process.returncode == 0, process.stderr
    [scheduled] = [command for command in commands if command.startswith("scheduler jobs create")]
    assert "jobs/understudy-loop:run" in scheduled
    assert any("--policy-from-file" in command for command in commands)
    assert any("--budget-amount=50USD" in command for command in commands)
    process, commands = deploy("schedule.sh", empty=False, **NAMES)
    assert any(command.startswith("scheduler jobs update http") for command in commands)


def test_teardown_ends_running_jobs_and_schedules_of_its_bucket_and_no_others(run, cloud, deploy):
    run("run", "--detach")
    run("schedule", "--cron=0 3 * * 1", coverage_dir="gs://team-bucket/coverage")
    run("submit")
    done, running = cloud.jobs
    finish(cloud, cloud.jobs[done])
    parent = "projects/team/locations/europe-west4"
    elsewhere = {"runtimeConfig": {"gcsOutputDirectory": "gs://team-bucket-of-others/x"}}
    cloud.jobs["other"] = {
        "name": f"{parent}/pipelineJobs/other", "state": "PIPELINE_STATE_RUNNING", **elsewhere,
    }  # fmt: skip
    other = {
        "name": f"{parent}/schedules/other",
        "createPipelineJobRequest": {"pipelineJob": elsewhere},
    }
    cloud.schedules.append(other)
    cloud.custom_jobs = {
        name: {
            "name": f"{parent}/customJobs/{name}",
            "state": "JOB_STATE_RUNNING",
            "labels": {"pipeline": "support-triage"},
            "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"args": [f'{{"uri": "{uri}"}}']}}]},
        }
        for name, uri in (
            ("spot", "gs://team-bucket/x"),
            ("mounted", "/gcs/team-bucket/x"),
            ("theirs", "gs://team-bucket-of-others/x"),
        )
    }
    process, commands = deploy(
        "teardown.sh",
        empty=False,
        PROJECT="team",
        CONFIRM="team",
        BUCKET="gs://team-bucket",
        ENDPOINT=cloud.url,
    )
    assert process.returncode == 0, process.stderr
    states = {name: job["state"].rpartition("_")[2] for name, job in cloud.jobs.items()}
    assert states == {done: "SUCCEEDED", running: "CANCELLED", "other": "RUNNING"}
    assert cloud.schedules == [other]
    states = {name: job["state"].rpartition("_")[2] for name, job in cloud.custom_jobs.items()}
    assert states == {"spot": "CANCELLED", "mounted": "CANCELLED", "theirs": "RUNNING"}
    assert f"Ended {parent}/pipelineJobs/{running}:cancel" in process.stderr
    ended = next(n for n, c in enumerate(commands) if c.startswith("auth print-access-token"))
    removed = next(n for n, c in enumerate(commands) if c.startswith("storage rm"))
    assert ended < removed
