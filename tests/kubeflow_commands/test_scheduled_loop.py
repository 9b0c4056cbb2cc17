"""A loop that a scheduler carries on, and the end of all of it."""

import json
import re
from pathlib import Path

import pytest
import yaml

import kubeflow_runner
from tests.kubeflow_commands.jobs import fail, finish, state
from tests.pipeline.vertex.scripts import Scripts

ROOT = Path(__file__).parents[2]
LOOP = "gs://team-bucket/pipelines/loops/support-triage"
STATE = "pipelines/loops/support-triage/state.json"
NAMES = {
    "PROJECT": "team",
    "IMAGE": "europe-west4-docker.pkg.dev/team/understudy/pipeline:1",
    "LOOP": LOOP,
    "EMAIL": "me@example.com",
}

ACCOUNT = {"BILLING_ACCOUNT": "0-1-2", "BUDGET": "50EUR"}
ALERTS = {
    "monitoring policies": "projects/my-team/alertPolicies/2",
    "billing budgets": "billingAccounts/0-1-2/budgets/4",
    "beta monitoring channels": "projects/my-team/notificationChannels/3",
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


def test_a_round_that_its_task_has_cancelled_is_started_once(run, cloud, step, capsys):
    cloud.on_create = lambda job: job.update(state="PIPELINE_STATE_CANCELLED")
    run("run", "--detach")
    assert [step() for _ in range(3)] == [2] * 3, "each is an alert"
    assert len(cloud.jobs) == 1
    told = capsys.readouterr().err
    assert "Round 1 was cancelled" in told
    assert "run once without --max-failures. Logs: https://console.cloud.google.com/" in told


@pytest.mark.parametrize("failures", [1, 3])
def test_after_the_fix_one_run_without_the_limit_lets_the_scheduler_continue(
    run, cloud, step, failures
):
    if failures == 1:
        cloud.on_create = lambda job: job.update(state="PIPELINE_STATE_CANCELLED")
    else:
        cloud.on_create = lambda job: fail(job, "Replica exited with code 1")
    run("run", "--detach")
    assert [step() for _ in range(4)] == [2] * 4
    assert len(cloud.jobs) == failures
    cloud.on_create = lambda job: None
    status, *_ = run("run", "--detach")
    assert (status, step()) == (0, 0)
    assert len(cloud.jobs) == failures + 1
    finish(cloud, list(cloud.jobs.values())[-1])
    assert step() == 0
    assert state(cloud)["attempt"] == 1


@pytest.fixture
def stopped(run, cloud):
    """Runs a loop of one round, whose split test is not judged yet."""
    cloud.on_create = lambda job: finish(cloud, job)
    run("run", "--detach", rounds__max_rounds=1)
    kept = json.loads(cloud.buckets["team-bucket"][STATE])
    kept["rounds"][0]["sealed_prompts"] = 5
    cloud.buckets["team-bucket"][STATE] = json.dumps(kept).encode()


def test_a_last_look_that_was_cancelled_is_started_once(stopped, cloud, step):
    cloud.on_create = lambda job: job.update(state="PIPELINE_STATE_CANCELLED")
    assert [step() for _ in range(3)] == [2] * 3
    assert [name.rpartition("-r1-")[2] for name in cloud.jobs][1:] == ["look1-a1"]


def test_status_shows_a_last_look_in_flight(stopped, cloud, step, capsys):
    cloud.on_create = lambda job: None
    step()
    capsys.readouterr()
    assert kubeflow_runner.main(["status", "--from", LOOP]) == 0
    assert "Round 1, judged on the split test: running" in capsys.readouterr().out
    finish(cloud, list(cloud.jobs.values())[-1])
    assert kubeflow_runner.main(["status", "--from", LOOP]) == 0
    assert "Stopped after round 1" in capsys.readouterr().out


def test_the_script_schedules_the_step_and_tells_of_failures_and_costs(deploy):
    process, commands = deploy("schedule.sh", **NAMES, **ACCOUNT)
    assert process.returncode == 0, process.stderr
    [enabled] = [command for command in commands if command.startswith("services enable")]
    assert "billingbudgets.googleapis.com" in enabled
    [scheduled] = [command for command in commands if command.startswith("scheduler jobs create")]
    assert "jobs/understudy-loop:run" in scheduled
    channel = "projects/my-team/notificationChannels/1"  # of the address
    [alert] = [command for command in commands if command.startswith("monitoring policies create")]
    assert f"--notification-channels={channel}" in alert
    [budget] = [command for command in commands if command.startswith("billing budgets create")]
    assert "--budget-amount=50EUR --filter-projects=projects/team " in budget
    assert f"--notifications-rule-monitoring-notification-channels={channel}" in budget
    assert re.findall(r"--threshold-rule=percent=(\S+)", budget) == ["0.5", "0.9", "1.0"]
    assert "gcloud scheduler jobs delete understudy-loop" in process.stderr, "how it is ended"


def test_the_alert_is_about_executions_of_the_step_that_failed(deploy):
    _, commands = deploy("schedule.sh", **NAMES)
    [step] = [command.split()[3] for command in commands if command.startswith("run jobs deploy")]
    policy = yaml.safe_load((ROOT / "deploy" / "alert-loop.yaml").read_text(encoding="utf-8"))
    [condition] = policy["conditions"]
    wanted = dict(re.findall(r'([\w.]+) = "([^"]+)"', condition["conditionThreshold"]["filter"]))
    # https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
    assert wanted == {
        "resource.type": "cloud_run_job",
        "resource.labels.job_name": step,
        "metric.type": "run.googleapis.com/job/completed_execution_count",
        "metric.labels.result": "failed",
    }
    assert condition["conditionThreshold"]["thresholdValue"] == 0


def test_without_a_budget_no_billing_account_is_asked(deploy):
    _, commands = deploy("schedule.sh", **NAMES)
    assert not [command for command in commands if "billing" in command]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"BUDGET": "50USD"}, "needs both: BILLING_ACCOUNT"),
        ({"BILLING_ACCOUNT": "0-1-2"}, "needs both: BILLING_ACCOUNT"),
        (ACCOUNT | {"BUDGET": "50"}, "BUDGET is '50'"),
    ],
)
def test_half_a_budget_is_refused_before_anything_is_made(deploy, given, expected):
    process, commands = deploy("schedule.sh", **NAMES, **given)
    assert process.returncode == 2
    assert expected in process.stderr
    assert not commands


def test_the_script_replaces_what_it_made_before(deploy):
    _, commands = deploy("schedule.sh", empty=False, **NAMES, **ACCOUNT)
    assert any(command.startswith("scheduler jobs update http") for command in commands)
    names = [command.rpartition(" ")[0] for command in commands]
    for made, old in ALERTS.items():
        removed = commands.index(f"{made} delete {old}")
        created = next(n for n, name in enumerate(names) if name.startswith(f"{made} create"))
        assert removed < created, made


def test_teardown_stops_the_step_first_and_removes_its_alerts_and_budget(deploy):
    names = {"PROJECT": "team", "CONFIRM": "team", "BILLING_ACCOUNT": "0-1-2"}
    _, commands = deploy("teardown.sh", empty=False, **names)
    assert commands[0].startswith("scheduler jobs delete understudy-loop"), "or it starts a round"
    for group, name in ALERTS.items():
        assert f"{group} delete {name}" in commands
    [listed] = [command for command in commands if command.startswith("billing budgets list")]
    assert 'displayName="understudy-loop of team"' in listed, "the account has other budgets"
    del names["BILLING_ACCOUNT"]
    process, commands = deploy("teardown.sh", empty=False, **names)
    assert not [command for command in commands if "billing" in command]
    assert "BILLING_ACCOUNT=" in process.stderr


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
    cloud.dataflow_jobs = [
        {
            "id": name,
            "name": name,
            "labels": labels,
            "currentState": "JOB_STATE_RUNNING",
            "environment": {"tempStoragePrefix": f"storage.googleapis.com/{bucket}/x"},
        }
        for name, labels, bucket in (
            ("ours", {"pipeline": "support-triage"}, "team-bucket"),
            ("theirs", {"pipeline": "support-triage"}, "team-bucket-of-others"),
            ("unlabelled", {}, "team-bucket"),
        )
    ]
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
    states = {job["id"]: job["currentState"].rpartition("_")[2] for job in cloud.dataflow_jobs}
    assert states == {"ours": "CANCELLED", "theirs": "RUNNING", "unlabelled": "RUNNING"}
    assert f"Ended {parent}/pipelineJobs/{running}\n" in process.stderr
    ended = next(n for n, c in enumerate(commands) if c.startswith("auth print-access-token"))
    removed = next(n for n, c in enumerate(commands) if c.startswith("storage rm"))
    assert ended < removed


def test_teardown_takes_a_dataflow_that_was_never_enabled_for_one_without_jobs(cloud, deploy):
    names = {"PROJECT": "team", "CONFIRM": "team", "ENDPOINT": cloud.url}
    cloud.refusals["v1b3"] = (403, "SERVICE_DISABLED: Dataflow API has not been used")
    process, _ = deploy("teardown.sh", empty=False, **names)
    assert "were not looked for" not in process.stderr
    cloud.refusals["v1b3"] = (403, "PERMISSION_DENIED: dataflow.jobs.list")
    process, _ = deploy("teardown.sh", empty=False, **names)
    assert "were not looked for: " in process.stderr
    assert "dataflow.jobs.list" in process.stderr
