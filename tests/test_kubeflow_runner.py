"""The commands for Vertex AI, with Google's real clients, against services on loopback."""

import itertools
import json

import pytest
from google.auth.credentials import AnonymousCredentials

import kubeflow_runner
from pipeline.vertex import commands, job
from pipeline.vertex.cloud import Cloud
from tests.pipeline.vertex.fake_cloud import FakeCloud

SECRET = "projects/team/secrets/hf-token/versions/1"
RATES = {1: 40.0, 2: 62.5, 3: 81.0}
REGISTRY_PATH = "team/understudy/pipeline"


@pytest.fixture
def cloud(monkeypatch):
    cloud = FakeCloud()
    cloud.buckets["team-bucket"] = {}
    cloud.images |= {f"{REGISTRY_PATH}:1", f"{REGISTRY_PATH}:1-cuda"}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    monkeypatch.setattr(commands, "default_cloud", lambda: Cloud(AnonymousCredentials(), cloud.url))
    monkeypatch.setattr(job, "_POLL_SECONDS", 0.0)
    yield cloud
    cloud.close()


@pytest.fixture
def run(cloud, capsys):
    """Runs a command; returns its status, and what it told and complained about."""

    def run(command, *arguments, preset="vertex", **values):
        settings = {
            "service_llm.vertex_project": "team",
            "vertex.project": "team",
            "vertex.pipeline_root": "gs://team-bucket/pipelines",
            "vertex.image": f"{cloud.host}/{REGISTRY_PATH}:1",
            "vertex.trainer_image": f"{cloud.host}/{REGISTRY_PATH}:1-cuda",
            "vertex.secrets": f"{{HF_TOKEN: {SECRET}}}",
            **{key.replace("__", "."): value for key, value in values.items()},
        }
        flags = [f"--set={key}={value}" for key, value in settings.items() if value is not None]
        status = kubeflow_runner.main([command, "--preset", preset, *flags, *arguments])
        return status, *capsys.readouterr()

    return run


def _finish(cloud, job, *, blessed_at=70.0):
    """Let a job be done at once, with the artifacts of a round."""
    number = job["runtimeConfig"]["parameterValues"]["round"]
    rate = RATES[number]
    folder = f"pipelines/{job['name'].rpartition('/')[2]}"
    outputs = {
        "SynthDataGen": {"synthetic": {}},
        "Trainer": {"model": {}},
        "LLMEvaluator": {
            "report": {"coverage_rate": rate, "round": number},
            "blessing": {"blessed": int(rate >= blessed_at)},
        },
        "HFPusher": {"pushed_model": {}},
    }
    details = [
        {
            "taskId": str(index),
            "taskName": name,
            "state": "SUCCEEDED",
            "outputs": {
                key: {
                    "artifacts": [
                        {"uri": f"gs://team-bucket/{folder}/{name}/{key}", "metadata": metadata}
                    ]
                }
                for key, metadata in artifacts.items()
            },
        }
        for index, (name, artifacts) in enumerate(outputs.items())
    ]
    for file in ("SynthDataGen/synthetic/synthesis", "LLMEvaluator/report/coverage_report"):
        name = f"{folder}/{file}.json"
        cloud.buckets["team-bucket"][name] = json.dumps({"usage": {"cost_usd": 0.25}}).encode()
        cloud.generations["team-bucket", name] = 1
    job["jobDetail"] = {"taskDetails": details}
    job["state"] = "PIPELINE_STATE_SUCCEEDED"


def _fail(job, message):
    job["state"] = "PIPELINE_STATE_FAILED"
    job["jobDetail"] = {
        "taskDetails": [
            {"taskId": "1", "taskName": "SynthDataGen", "state": "SUCCEEDED"},
            {
                "taskId": "2",
                "taskName": "Trainer",
                "state": "FAILED",
                "error": {"code": 8, "message": message},
            },
        ]
    }


def _state(cloud):
    return json.loads(cloud.buckets["team-bucket"]["pipelines/loops/support-triage/state.json"])


def test_submit_uploads_the_job_and_starts_it_as_it_is_configured(run, cloud, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_shell")
    status, told, _ = run(
        "submit",
        "--parameter=round=3",
        "--parameter=history_uri=gs://team-bucket/old/synthetic",
        "--parameter=training={epochs: 3}",
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


def test_a_parameter_that_the_job_does_not_have_is_refused(run, cloud):
    status, _, errors = run("submit", "--parameter=rounds=3")
    assert status == 2
    assert "no parameter 'rounds'" in errors
    assert "coverage_dir, evaluator" in errors
    status, _, errors = run("submit", "--parameter=training={epochs: many}")
    assert status == 2
    assert "--parameter training cannot be used: epochs: received 'many'" in errors
    assert not cloud.jobs


def test_run_goes_from_round_to_round_until_the_gate_is_passed(run, cloud):
    cloud.on_create = lambda job: _finish(cloud, job)
    status, told, errors = run("run")
    assert (status, errors) == (0, "")
    jobs = [job["runtimeConfig"]["parameterValues"] for job in cloud.jobs.values()]
    assert [job["round"] for job in jobs] == [1, 2, 3]
    assert jobs[0]["history_uri"] == jobs[0]["report_uri"] == ""
    first, second = itertools.islice(cloud.jobs, 2)
    assert jobs[1]["history_uri"] == f"gs://team-bucket/pipelines/{first}/SynthDataGen/synthetic"
    assert jobs[2]["report_uri"] == f"gs://team-bucket/pipelines/{second}/LLMEvaluator/report"
    assert "Stopped after round 3: the threshold is reached." in told
    assert "coverage rate 81.0 %" in told
    assert "1.50 USD" in told
    assert _state(cloud)["stop_reason"] == "threshold_met"
    _, told, _ = run("run")
    assert len(cloud.jobs) == 3, "a loop that has stopped submits nothing"
    assert "Stopped after round 3" in told


@pytest.mark.parametrize("start", ["scratch", "best"])
def test_a_warm_started_loop_gives_every_round_the_best_model_so_far(
    run, cloud, monkeypatch, start
):
    monkeypatch.setitem(RATES, 2, 30.0)
    cloud.on_create = lambda job: _finish(cloud, job)
    status, _, errors = run("run", rounds__warm_start=start)
    assert (status, errors) == (0, "")
    uris = [
        job["runtimeConfig"]["parameterValues"]["warm_start_uri"] for job in cloud.jobs.values()
    ]
    best = f"gs://team-bucket/pipelines/{next(iter(cloud.jobs))}/Trainer/model"
    assert uris == (["", best, best] if start == "best" else [""] * 3)


def test_a_detached_loop_is_taken_up_by_another_machine_that_knows_only_its_uri(run, cloud, capsys):
    status, told, _ = run("run", "--detach")
    assert status == 0
    uri = "gs://team-bucket/pipelines/loops/support-triage"
    assert f"run --from {uri}" in told
    [first] = cloud.jobs
    assert kubeflow_runner.main(["status", "--from", uri]) == 0
    assert "Round 1 of at most 5: running" in capsys.readouterr().out
    _finish(cloud, cloud.jobs[first])
    cloud.on_create = lambda job: _finish(cloud, job)
    assert kubeflow_runner.main(["run", "--from", uri]) == 0
    told = capsys.readouterr().out
    assert "Round 1: coverage rate 40.0 %" in told
    assert "Stopped after round 3" in told
    assert len(cloud.jobs) == 3
    assert kubeflow_runner.main(["status", "--from", uri]) == 0
    told = capsys.readouterr().out
    for line in ("Round 2: coverage rate 62.5 %, not blessed, 0.50 USD", "Round 3:", "1.50 USD"):
        assert line in told, told


def test_status_shows_what_a_round_has_cost_and_found_before_it_is_done(run, cloud):
    cloud.on_create = lambda job: _finish(cloud, job)
    status, _, _ = run("run", rounds__max_rounds=1)
    assert status == 0
    cloud.on_create = lambda job: None
    limits = {"rounds__max_rounds": 3, "rounds__budget_usd": 4}
    run("run", "--detach", **limits)
    _, second = cloud.jobs.values()

    def told_after(*names):
        _finish(cloud, second)
        second["state"] = "PIPELINE_STATE_RUNNING"
        details = second["jobDetail"]["taskDetails"]
        for detail in details:
            detail["startTime"] = "2026-01-01T00:00:00Z"
            if detail["taskName"] in names:
                detail["endTime"] = "2026-01-01T00:03:30Z"
            else:
                detail["state"] = "RUNNING"
        return run("status", **limits)[1]

    told = told_after()
    assert "Round 1: coverage rate 40.0 %, not blessed, 0.50 USD" in told
    assert "Round 2 of at most 3: running\n" in told
    assert "  SynthDataGen: running\n" in told
    assert "Cost of the service LLM: 0.50 USD of 4.00 USD" in told
    told = told_after("SynthDataGen")
    assert "Round 2 of at most 3: running, 0.25 USD so far\n" in told
    assert "  SynthDataGen: succeeded, 3.5 min\n" in told
    assert "Cost of the service LLM: 0.75 USD of 4.00 USD" in told
    told = told_after("SynthDataGen", "Trainer", "LLMEvaluator")
    assert "Round 2 of at most 3: running, coverage rate 62.5 %, 0.50 USD so far\n" in told


def test_a_round_that_was_submitted_before_the_machine_died_is_not_paid_for_twice(run, cloud):
    run("run", "--detach")
    [job_id] = cloud.jobs
    assert _state(cloud)["rounds"] == [], "nothing but the id tells of the job"
    _finish(cloud, cloud.jobs[job_id])
    cloud.on_create = lambda job: _finish(cloud, job)
    run("run")
    rounds = [j["runtimeConfig"]["parameterValues"]["round"] for j in cloud.jobs.values()]
    assert rounds == [1, 2, 3]


@pytest.mark.parametrize(
    ("message", "command"),
    [
        pytest.param(
            "The following quota metrics exceed quota limits: custom_model_training_nvidia_l4",
            "gcloud beta quotas preferences create",
            id="quota",
        ),
        pytest.param("Failed to pull image: manifest unknown", "deploy/build.sh", id="image"),
        pytest.param(
            "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource",
            "--role=roles/artifactregistry.reader",
            id="registry",
        ),
        pytest.param("Replica exited with code 137", "vertex.memory_limit_gib", id="memory"),
    ],
)
def test_a_failed_round_names_the_task_and_what_mends_it_and_is_tried_again(
    run, cloud, message, command
):
    cloud.on_create = lambda job: _fail(job, message)
    status, _, errors = run("run")
    assert status == 2
    assert f"Trainer: {message}" in errors
    assert command in errors
    assert "console.cloud.google.com" in errors
    assert _state(cloud)["attempt"] == 2
    cloud.on_create = lambda job: _finish(cloud, job)
    status, told, _ = run("run")
    assert status == 0, told
    numbers = [j["runtimeConfig"]["parameterValues"]["round"] for j in cloud.jobs.values()]
    assert numbers == [1, 1, 2, 3]


def test_a_loop_refuses_another_configuration_but_takes_more_rounds(run, cloud):
    cloud.on_create = lambda job: _finish(cloud, job)
    run("run", rounds__max_rounds=1)
    status, _, errors = run("run", rounds__max_rounds=1, training__epochs=7)
    assert status == 2
    assert "training.epochs" in errors
    assert "--loop NAME" in errors
    status, told, _ = run("run", rounds__max_rounds=2)
    assert status == 0
    assert "Stopped after round 2: that were all rounds" in told
    run("run", "--loop", "other", rounds__max_rounds=1, training__epochs=7)
    assert "pipelines/loops/other/state.json" in cloud.buckets["team-bucket"]


def test_a_state_whose_answer_was_lost_on_the_way_is_not_somebody_elses(run, cloud):
    name = "pipelines/loops/support-triage/state.json"
    answer = cloud.answer

    def answer_twice(method, path, query, body):
        status, headers, content = answer(method, path, query, body)
        if path.startswith("/upload") and name.encode() in body[1] and status == 200:
            return answer(method, path, query, body)
        return status, headers, content

    cloud.answer = answer_twice
    cloud.on_create = lambda job: _finish(cloud, job)
    status, told, errors = run("run")
    assert (status, errors) == (0, "")
    assert "Stopped after round 3" in told


def test_two_processes_do_not_go_on_with_one_loop(run, cloud):
    def somebody_else_is_faster(job):
        _finish(cloud, job)
        cloud.generations["team-bucket", "pipelines/loops/support-triage/state.json"] += 1

    cloud.on_create = somebody_else_is_faster
    status, _, errors = run("run")
    assert status == 2
    assert "Another process goes on with the loop" in errors


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        pytest.param(
            "pipelineJobs",
            (403, "Permission 'aiplatform.pipelineJobs.create' denied on resource '//x'"),
            "--role=roles/aiplatform.user",
            id="no role",
        ),
        pytest.param(
            "pipelineJobs",
            (403, "Vertex AI API has not been used in project 1 before or it is disabled. Enable "
                  "it by visiting https://console.cloud.google.com/apis/api/"
                  "aiplatform.googleapis.com/overview"),
            "gcloud services enable aiplatform.googleapis.com --project=team",
            id="API disabled",
        ),
        pytest.param(
            "pipelineJobs",
            (403, "You do not have permission to act as service account: tasks@x"),
            "--role=roles/iam.serviceAccountUser",
            id="act as",
        ),
        pytest.param(
            "pipelineJobs",
            (429, "Quota exceeded for quota metric 'Pipeline jobs'"),
            "gcloud beta quotas",
            id="quota",
        ),
        pytest.param(
            "storage/v1/b/team-bucket/o$",
            (403, "x does not have storage.objects.list access to the Google Cloud Storage bucket"),
            "--role=roles/storage.objectUser",
            id="closed bucket",
        ),
        pytest.param(
            "manifests", (403, "denied"), "--role=roles/artifactregistry.reader", id="closed image"
        ),
    ],
)  # fmt: skip
def test_what_google_cloud_refuses_is_told_with_the_command_that_mends_it(
    run, cloud, path, answer, expected
):
    cloud.refusals[path] = answer
    status, _, errors = run("submit")
    assert status == 2
    assert expected in errors, errors
    assert "Traceback" not in errors


def test_a_bucket_that_does_not_exist_is_told_with_the_command_that_makes_it(run, cloud):
    status, _, errors = run("run", vertex__pipeline_root="gs://nobody-has-it/x")
    assert status == 2
    assert "gcloud storage buckets create gs://nobody-has-it --project=team" in errors
    assert not cloud.jobs


def test_an_image_that_does_not_exist_is_told_before_anything_is_submitted(run, cloud):
    image = f"{cloud.host}/{REGISTRY_PATH}:other"
    status, _, errors = run("run", vertex__image=image)
    assert status == 2
    assert f"deploy/build.sh {image}" in errors
    assert not cloud.jobs


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
    ("preset", "values", "expected"),
    [
        pytest.param(
            "offline", {}, ["UNDERSTUDY_STANDIN_URL", "packaged:", "push.destination"], id="offline"
        ),
        pytest.param("gemini", {}, ["vertex.secrets.GEMINI_API_KEY"], id="a key of the shell"),
        pytest.param(
            "vertex", {"vertex.secrets": "{}"}, ["vertex.secrets.HF_TOKEN"], id="no token"
        ),
        pytest.param(
            "vertex",
            {"vertex.trainer_image": None},
            ["vertex.accelerator_type is 'NVIDIA_L4'", "TARGETS='pipeline cuda' deploy/build.sh"],
            id="an accelerator without CUDA",
        ),
    ],
)
def test_what_cannot_work_in_the_containers_is_told_at_once(run, cloud, preset, values, expected):
    region = {} if preset == "vertex" else {"vertex.region": "europe-west4"}
    project = {} if preset == "vertex" else {"service_llm.vertex_project": None}
    status, _, errors = run("run", preset=preset, **values, **region, **project)
    assert status == 2
    for part in expected:
        assert part in errors, errors
    assert not cloud.requests


def test_compile_writes_the_job_and_says_what_is_in_it(run, tmp_path):
    file = tmp_path / "job.json"
    status, told, errors = run("compile", f"--output={file}")
    assert (status, errors) == (0, "")
    assert json.loads(file.read_text())["pipelineSpec"]["pipelineInfo"]["name"] == "support-triage"
    assert str(file) in told
    assert "Runtime parameters: coverage_dir, evaluator" in told


def test_missing_settings_are_all_named(capsys):
    assert kubeflow_runner.main(["compile"]) == 2
    errors = capsys.readouterr().err
    for key in ("vertex.project", "vertex.pipeline_root", "vertex.image", "service_llm"):
        assert key in errors
