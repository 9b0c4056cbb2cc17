"""The scripts for an empty project, with a `gcloud` that only writes down what it was asked."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.cloud import aiplatform_v1

from pipeline.config import load_config
from pipeline.vertex.settings import VertexSettings
from tests.pipeline.vertex import gcloud
from tests.pipeline.vertex.scripts import DEPLOY, REPOSITORY, Scripts

SCRIPTS = sorted(DEPLOY.glob("*.sh"))
BROAD_ROLES = re.compile(r"roles/(owner|editor|viewer|.*[aA]dmin)$")
PROJECT = "my-team"
TASKS = f"serviceAccount:understudy-tasks@{PROJECT}.iam.gserviceaccount.com"
ME = "user:me@example.com"


@pytest.fixture
def deploy(tmp_path):
    return Scripts(tmp_path)


def _granted(commands):
    """Role and member of each binding, with what it is on."""
    pattern = re.compile(r"^(.*?) add-iam-policy-binding .*--member=(\S+) --role=(\S+)")
    matches = [pattern.match(command) for command in commands]
    return {(match[1], match[2], match[3]) for match in matches if match}


@pytest.mark.parametrize(
    "script",
    [*SCRIPTS, *sorted(REPOSITORY.glob("requirements/*.sh")), REPOSITORY / ".ci/run"],
    ids=lambda path: path.name,
)
def test_shellcheck_has_nothing_to_say(script):
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, "--external-sources", script], check=True, cwd=REPOSITORY)


def test_an_empty_project_gets_all_that_a_run_needs_and_no_broad_role(deploy):
    process, commands = deploy("setup.sh", PROJECT=PROJECT, HF_TOKEN="hf_abc")
    assert process.returncode == 0, process.stderr
    made = [command for command in commands if " create " in command]
    assert [command.split(" create ")[0] for command in made] == [
        "storage buckets",
        "artifacts repositories",
        "iam service-accounts",
        "iam service-accounts",
        "secrets",
    ]
    assert "--public-access-prevention" in made[0]
    assert any("aiplatform.googleapis.com" in c for c in commands if c.startswith("services"))
    granted = _granted(commands)
    assert {
        ("projects", TASKS, "roles/aiplatform.user"),
        ("projects", TASKS, "roles/logging.logWriter"),
        ("storage buckets", TASKS, "roles/storage.objectUser"),
        ("storage buckets", TASKS, "roles/storage.legacyBucketReader"),
        ("artifacts repositories", TASKS, "roles/artifactregistry.reader"),
        ("secrets", TASKS, "roles/secretmanager.secretAccessor"),
    } == {grant for grant in granted if grant[1] == TASKS}
    assert ("iam service-accounts", ME, "roles/iam.serviceAccountUser") in granted
    assert not [grant for grant in granted if BROAD_ROLES.match(grant[2])]
    # Buckets, secrets and images are opened one by one, not for the whole project.
    on_project = {role for where, _, role in granted if where == "projects"}
    assert not [r for r in on_project if r.startswith(("roles/storage", "roles/secretmanager"))]


def test_the_token_goes_through_standard_input_only(deploy):
    _, commands = deploy("setup.sh", PROJECT=PROJECT, HF_TOKEN="hf_abc")
    assert deploy.secret.read_text() == "hf_abc"
    assert not [command for command in commands if "hf_abc" in command]


def test_running_it_again_makes_nothing_new(deploy):
    process, commands = deploy("setup.sh", empty=False, PROJECT=PROJECT, HF_TOKEN="hf_abc")
    assert process.returncode == 0, process.stderr
    assert not [c for c in commands if " create " in c or " versions add " in c]


def test_dataflow_and_spot_machines_are_prepared_only_where_they_are_wanted(deploy):
    _, without = deploy("setup.sh", PROJECT=PROJECT)
    assert not [command for command in without if "dataflow" in command]
    itself = ("iam service-accounts", TASKS, "roles/iam.serviceAccountUser")
    assert itself not in _granted(without)
    for wanted, grants in (
        ("DATAFLOW", {itself, ("projects", TASKS, "roles/dataflow.worker")}),
        ("SPOT", {itself}),
    ):
        _, with_it = deploy("setup.sh", PROJECT=PROJECT, **{wanted: "1"})
        assert grants <= _granted(with_it), wanted


def test_the_account_of_the_tag_trigger_may_push_images_and_start_runs(deploy):
    trigger = (DEPLOY / "ci/tag.yaml").read_text(encoding="utf-8")
    address = re.search(r"--service-account=projects/PROJECT/serviceAccounts/(\S+)", trigger)[1]
    account = f"serviceAccount:{address.replace('PROJECT', PROJECT)}"
    _, commands = deploy("setup.sh", PROJECT=PROJECT, TAG_BUILDS="1")
    assert {
        ("projects", account, "roles/logging.logWriter"),
        ("projects", account, "roles/aiplatform.user"),
        ("storage buckets", account, "roles/storage.objectUser"),
        ("storage buckets", account, "roles/storage.legacyBucketReader"),
        ("artifacts repositories", account, "roles/artifactregistry.writer"),
        ("iam service-accounts", account, "roles/iam.serviceAccountUser"),
    } == {grant for grant in _granted(commands) if grant[1] == account}
    tasks = TASKS.removeprefix("serviceAccount:")
    acts_as = [c for c in commands if "serviceAccountUser" in c and f"--member={account}" in c]
    assert len(acts_as) == 1
    assert f"add-iam-policy-binding {tasks} " in acts_as[0]
    _, without = deploy("setup.sh", PROJECT=PROJECT)
    assert ("projects", account, "roles/aiplatform.user") not in _granted(without)


def test_a_grant_is_tried_again_until_a_new_account_is_known(deploy):
    refused = "*logWriter*"
    process, commands = deploy("setup.sh", PROJECT=PROJECT, GCLOUD_REFUSES=refused)
    assert process.returncode == 2
    assert "refused by a test" in process.stderr
    assert "gcloud projects add-iam-policy-binding my-team" in process.stderr
    assert len([command for command in commands if "logWriter" in command]) == 6
    assert deploy.slept.read_text().split() == ["10"] * 5


@pytest.mark.parametrize("script", ["setup.sh", "build.sh", "teardown.sh"])
def test_without_a_project_a_script_says_what_to_set(deploy, script):
    process, commands = deploy(script)
    assert process.returncode != 0
    assert "PROJECT=my-team" in process.stderr
    assert not commands


def test_a_build_prints_a_preset_that_the_runner_can_use(deploy, tmp_path):
    image = "europe-west4-docker.pkg.dev/my-team/understudy/pipeline:1"
    process, commands = deploy("build.sh", image, PROJECT=PROJECT, TARGETS="pipeline cuda dataflow")
    assert process.returncode == 0, process.stderr
    built = [
        re.search(r"_TARGET=(\w+),_IMAGE=(\S+),_RUN_AS=1000", command).groups()
        for command in commands
    ]
    assert built == [
        ("pipeline", image),
        ("cuda", f"{image}-cuda"),
        ("dataflow", f"{image}-dataflow"),
    ]
    preset = tmp_path / "my-team.yaml"
    preset.write_text(process.stdout)
    vertex = load_config(str(preset), environ={}).vertex_settings
    assert vertex.images == (image, f"{image}-cuda", f"{image}-dataflow")
    assert vertex.service_account == TASKS.removeprefix("serviceAccount:")
    assert vertex.accelerator_type == "NVIDIA_L4"
    assert vertex.secrets["HF_TOKEN"].endswith("/understudy-hf-token/versions/1")


def test_a_build_without_cuda_trains_on_cpu(deploy, tmp_path):
    process, _ = deploy("build.sh", PROJECT=PROJECT, TARGETS="pipeline")
    preset = tmp_path / "my-team.yaml"
    preset.write_text(process.stdout)
    vertex = load_config(str(preset), environ={}).vertex_settings
    assert vertex.accelerator_type is None
    assert len(vertex.images) == 1


def test_the_user_of_the_tasks_reaches_the_build_of_every_image(deploy):
    _, commands = deploy("build.sh", PROJECT=PROJECT, RUN_AS="0")
    assert len(commands) == 2
    assert all(",_RUN_AS=0" in command for command in commands)
    build = yaml.safe_load((DEPLOY / "cloudbuild.yaml").read_text(encoding="utf-8"))
    [step] = build["steps"]
    assert "RUN_AS=$_RUN_AS" in step["args"]
    assert step["args"][step["args"].index("RUN_AS=$_RUN_AS") - 1] == "--build-arg"


def test_a_build_refuses_a_target_that_does_not_exist(deploy):
    process, commands = deploy("build.sh", PROJECT=PROJECT, TARGETS="pipeline rocm")
    assert process.returncode == 2
    assert "'rocm'" in process.stderr
    assert not commands


def test_nothing_is_removed_without_a_confirmation(deploy):
    process, commands = deploy("teardown.sh", PROJECT=PROJECT)
    assert process.returncode == 2
    assert f"CONFIRM={PROJECT}" in process.stderr
    assert not commands


def test_what_was_made_is_removed(deploy):
    _, made = deploy("setup.sh", PROJECT=PROJECT, DATAFLOW="1", TAG_BUILDS="1")
    process, removed = deploy("teardown.sh", empty=False, PROJECT=PROJECT, CONFIRM=PROJECT)
    assert process.returncode == 0, process.stderr
    names = [re.search(r" create (\S+)", command) for command in made]
    for name in [match[1] for match in names if match]:
        assert any(name in command for command in removed), name
    for where, member, role in _granted(made):
        if where == "projects" and member != ME:
            binding = f"--member={member} --role={role}"
            assert any(binding in command for command in removed), binding


def test_what_could_not_be_removed_is_told_with_the_reason(deploy):
    process, _ = deploy(
        "teardown.sh", PROJECT=PROJECT, CONFIRM=PROJECT, GCLOUD_REFUSES="storage rm*"
    )
    assert "Not removed: the bucket gs://my-team-understudy. ERROR: (gcloud) refused" in (
        process.stderr
    )
    assert "Removed the secret" in process.stderr


def test_the_job_that_tries_to_write_is_one_that_vertex_ai_takes(tmp_path):
    spec = yaml.safe_load((DEPLOY / "write-test.yaml").read_text(encoding="utf-8"))
    job = aiplatform_v1.CustomJobSpec.from_json(json.dumps(spec))  # refuses unknown fields
    [pool] = job.worker_pool_specs
    program = pool.container_spec.args[0].replace("/gcs/my-team-understudy", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert b"executor_output.json and reads {}" in done.stdout


def test_the_commands_of_the_guide_are_what_gcloud_accepts():
    guide = (DEPLOY.parent / "docs/vertex.md").read_text(encoding="utf-8")
    guide = guide.replace("\\\n", " ")
    commands = re.findall(r"(?:^\s*|`)gcloud ([^`\n]+)", guide, re.MULTILINE)
    commands += re.findall(r"\$\(gcloud ([^)]+)\)", guide)
    assert len(commands) >= 5
    for command in commands:
        gcloud.check(command)


def test_the_guide_names_only_what_exists():
    guide = (DEPLOY.parent / "docs/vertex.md").read_text(encoding="utf-8")
    for script in set(re.findall(r"deploy/(\w+\.sh)", guide)):
        assert (DEPLOY / script).exists(), script
    for setting in set(re.findall(r"`vertex\.(\w+)", guide)):
        assert setting in VertexSettings.model_fields, setting
    scripts = [(DEPLOY / name).read_text(encoding="utf-8") for name in ("setup.sh", "schedule.sh")]
    granted = set(re.findall(r"--role=roles/([\w.]+)", "".join(scripts)))
    table = guide.partition("## Roles")[2].partition("## What it costs")[0]
    named = set(re.findall(r"`((?!iam\b)\w+\.[\w.]+|iam\.serviceAccountUser)`", table))
    assert granted == named
