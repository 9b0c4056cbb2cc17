"""A single job: compiled, submitted, with parameters."""

import datetime
import json
import re
from pathlib import Path

import pytest

import kubeflow_runner
from pipeline.vertex import commands
from task.coverage.split_file import SPLITS_FILE, read_splits
from tests.kubeflow_commands.jobs import SECRET

# The name of the value, and the number of it that the client sends.
FAIL_FAST = ("PIPELINE_FAILURE_POLICY_FAIL_FAST", 2)


def test_compile_writes_the_job_and_says_what_is_in_it(run, tmp_path):
    file = tmp_path / "job.json"
    status, told, errors = run("compile", f"--output={file}")
    assert (status, errors) == (0, "")
    assert json.loads(file.read_text())["pipelineSpec"]["pipelineInfo"]["name"] == "support-triage"
    assert str(file) in told
    assert "Runtime parameters: coverage_dir, evaluator" in told


def test_submit_uploads_the_job_and_starts_it_as_it_is_configured(run, cloud, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_shell")
    status, told, _ = run(
        "submit",
        "--parameter=round=3",
        "--parameter=history_uri=gs://team-bucket/old/synthetic",
        "--parameter=training={epochs: 3}",
        "--parameter=generation='{\"batch_size\": 2}'",
        vertex__service_account="tasks@team.iam.gserviceaccount.com",
        vertex__network="projects/123/global/networks/private",
        vertex__reserved_ip_ranges="[tasks]",
        vertex__labels="{cost-centre: support}",
        vertex__enable_caching="false",
    )
    assert status == 0
    [(job_id, job)] = cloud.jobs.items()
    assert job["name"] == f"projects/team/locations/europe-west4/pipelineJobs/{job_id}"
    assert job_id.startswith("support-triage-20")
    assert job["serviceAccount"] == "tasks@team.iam.gserviceaccount.com"
    assert job["network"] == "projects/123/global/networks/private"
    assert job["reservedIpRanges"] == ["tasks"]
    labels = {"cost-centre": "support", "pipeline": "support-triage", "started-by": "submit"}
    assert labels.items() <= job["labels"].items()
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://team-bucket/pipelines"
    values = job["runtimeConfig"]["parameterValues"]
    training = json.loads(values.pop("training"))
    assert (training["epochs"], training["batch_size"]) == (3, 16), "the preset's, but for one"
    generation = json.loads(values.pop("generation"))
    assert generation["batch_size"] == 2
    assert "temperature" in generation, "a JSON text is the same as a section"
    assert values == {
        "round": 3,
        "history_uri": "gs://team-bucket/old/synthetic",
    }
    assert "round" in job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"].values()
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks)
    [name] = cloud.buckets["team-bucket"]
    uploaded = json.loads(cloud.buckets["team-bucket"][name])
    assert uploaded["pipelineSpec"]["deploymentSpec"] == job["pipelineSpec"]["deploymentSpec"]
    assert f"gs://team-bucket/{name}" in told
    assert f"/pipelines/runs/{job_id}?project=team" in told
    assert SECRET in json.dumps(job)
    assert "hf_of_this_shell" not in json.dumps(job), "a secret's value is never in a job"


def test_two_that_are_submitted_in_one_second_are_two_jobs(run, cloud, monkeypatch):
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 12, 1, tzinfo=tz)

    monkeypatch.setattr(commands.datetime, "datetime", Stopped)
    for temperature in ("0.5", "0.7"):
        values = {"synth__temperature": temperature, "vertex__enable_caching": "false"}
        status, _, errors = run("submit", **values)
        assert status == 0, errors
    assert len(cloud.jobs) == 2
    assert len(cloud.buckets["team-bucket"]) == 2


@pytest.mark.parametrize(
    "command", [["submit"], ["schedule", "--cron=0 3 * * 1"], ["run", "--detach"]]
)
def test_splits_of_rows_in_the_image_are_remembered_when_a_job_judges_them(
    run, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/coverage/mine")
    folder.mkdir(parents=True)
    rows = [
        {"prompt": f"row {n}", "output": "x", "split": ("seed", "holdout")[n % 2]}
        for n in range(16)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    values = {"coverage_dir": str(folder), "vertex__enable_caching": "false"}
    assert run("compile", "--output=job.json", **values)[0] == 0
    assert not (folder / SPLITS_FILE).exists(), "nothing judges a job that is compiled only"
    status, _, errors = run(*command, **values)
    assert status == 0, errors
    assert len(read_splits((folder / SPLITS_FILE).read_bytes(), SPLITS_FILE)) == 16


def test_a_job_carries_the_teams_key_and_its_way_into_the_network(run, cloud):
    key = "projects/team/locations/europe-west4/keyRings/r/cryptoKeys/k"
    attachment = "projects/1/regions/europe-west4/networkAttachments/tasks"
    values = {"vertex__encryption_key": key, "vertex__network_attachment": attachment}
    status, _, errors = run("submit", **values)
    assert status == 0, errors
    dataset = "gs://team-bucket/coverage"
    run("schedule", "--cron=0 3 * * 1", coverage_dir=dataset, **values)
    [job], [schedule] = cloud.jobs.values(), cloud.schedules
    for made in (job, schedule["createPipelineJobRequest"]["pipelineJob"]):
        assert made["encryptionSpec"] == {"kmsKeyName": key}
        assert made["pscInterfaceConfig"] == {"networkAttachment": attachment}
        assert made["runtimeConfig"]["failurePolicy"] in FAIL_FAST


def test_compile_refuses_what_run_refuses(run, tmp_path):
    file = tmp_path / "job.json"
    status, _, errors = run(
        "compile", f"--output={file}", training__backend="jax", vertex__images_hold_jax="false"
    )
    assert status == 2
    assert "do not contain JAX" in errors
    assert not file.exists()
    status, *_ = run("compile", f"--output={file}", training__backend="jax")
    assert status == 0


def test_a_parameter_that_the_job_does_not_have_is_refused(run, cloud):
    status, _, errors = run("submit", "--parameter=rounds=3")
    assert status == 2
    assert "no parameter 'rounds'" in errors
    assert "coverage_dir, evaluator" in errors
    status, _, errors = run("submit", "--parameter=training={epochs: many}")
    assert status == 2
    assert "--parameter training cannot be used: epochs: received 'many'" in errors
    assert not cloud.jobs


@pytest.mark.parametrize(
    ("parameter", "wanted"),
    [("round=two", "'two'. It takes a whole number"), ("history_uri=5", "5. It takes a text")],
)
def test_a_parameter_of_another_type_is_refused(run, cloud, parameter, wanted):
    status, _, errors = run("submit", f"--parameter={parameter}")
    assert status == 2
    assert f"--parameter {parameter.partition('=')[0]}: received {wanted}." in errors
    assert not cloud.jobs


def test_missing_settings_are_all_named(capsys):
    assert kubeflow_runner.main(["compile"]) == 2
    errors = capsys.readouterr().err
    for key in ("vertex.project", "vertex.pipeline_root", "vertex.image", "service_llm"):
        assert key in errors


def test_a_file_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    status, _, errors = run("compile", "--output", str(tmp_path / "taken" / "job.json"))
    assert status == 2
    assert re.search(r"taken/job\.json.*--output FILE", errors)
