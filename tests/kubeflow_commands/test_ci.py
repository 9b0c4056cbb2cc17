"""The Cloud Build example: its steps run here, with the runner that the images hold."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import kubeflow_runner
from tests.kubeflow_commands.jobs import REGISTRY_PATH, SECRET
from tests.pipeline.vertex import gcloud

CI = Path(__file__).parents[2] / "deploy" / "ci"


def bash_replaced(text, values):
    """Replace `$NAME`, `${NAME}` and `${NAME//PATTERN/TEXT}`, as Cloud Build does."""

    def value(match):
        name = match["plain"] or match["braced"]
        found = values[name]
        if match["pattern"]:
            found = re.sub(match["pattern"], match["text"], found)
        return found

    pattern = r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?://(?P<pattern>[^/]+)/(?P<text>[^}]*))?\})"
    return re.sub(pattern, value, text)


@pytest.fixture
def runner_steps(cloud, tmp_path):
    """The steps of a build that call the runner, with the arguments that they give it."""
    preset = tmp_path / "my-team.yaml"
    preset.write_text(
        f"""
extends: vertex
service_llm: {{vertex_project: team}}
vertex:
  project: team
  pipeline_root: gs://team-bucket/pipelines
  image: {cloud.host}/{REGISTRY_PATH}:1
  trainer_image: {cloud.host}/{REGISTRY_PATH}:1-cuda
  secrets: {{HF_TOKEN: {SECRET}}}
"""
    )

    def of(file, tag, **given):
        build = yaml.safe_load((CI / file).read_text(encoding="utf-8"))
        values = {
            "_IMAGE": f"{cloud.host}/{REGISTRY_PATH}",
            "_PRESET": str(preset),
            "TAG_NAME": tag,
        }
        for name, text in (build.get("substitutions", {}) | given).items():
            values[name] = bash_replaced(text, values)
        steps = [step for step in build["steps"] if step.get("entrypoint") == "python"]
        for step in steps:
            arguments = [bash_replaced(argument, values) for argument in step["args"]]
            assert arguments[0] == "kubeflow_runner.py"
            here = {"/tmp/pipeline.json": str(tmp_path / "pipeline.json")}
            yield [here.get(argument, argument) for argument in arguments[1:]]

    return of


def test_a_pull_request_compiles_and_submits_nothing(runner_steps, cloud, tmp_path):
    [arguments] = runner_steps("pull-request.yaml", "")
    assert kubeflow_runner.main(arguments) == 0
    assert "pipelineSpec" in json.loads((tmp_path / "pipeline.json").read_text())
    assert not cloud.requests


def test_a_tag_starts_its_loop_once_with_its_images(runner_steps, cloud):
    cloud.images |= {f"{REGISTRY_PATH}:v1.2", f"{REGISTRY_PATH}:v1.2-cuda"}
    [arguments] = runner_steps("tag.yaml", "v1.2")
    for _ in range(2):
        assert kubeflow_runner.main(arguments) == 0
    [job] = cloud.jobs.values()
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"].values()
    images = {executor["container"]["image"] for executor in executors}
    image = f"{cloud.host}/{REGISTRY_PATH}:v1.2"
    assert images == {image, f"{image}-cuda"}
    assert "pipelines/loops/v1-2/state.json" in cloud.buckets["team-bucket"]


def test_a_tag_never_leaves_the_workers_of_dataflow_on_older_code(runner_steps, cloud, tmp_path):
    with (tmp_path / "my-team.yaml").open("a") as preset:
        preset.write(f"  dataflow_image: {cloud.host}/{REGISTRY_PATH}:1-dataflow\n")
    cloud.images |= {f"{REGISTRY_PATH}:v2{suffix}" for suffix in ("", "-cuda", "-dataflow")}
    [without] = runner_steps("tag.yaml", "v2")
    [chosen] = runner_steps("tag.yaml", "v2", _DATAFLOW_IMAGE="$_IMAGE:$TAG_NAME-dataflow")
    assert kubeflow_runner.main([*without, "--loop=without"]) == 0
    assert kubeflow_runner.main([*chosen, "--loop=chosen"]) == 0
    image = f"--sdk_container_image={cloud.host}/{REGISTRY_PATH}"
    jobs = [json.dumps(job) for job in cloud.jobs.values()]
    assert [f"{image}:v2-dataflow" in job for job in jobs] == [False, True]
    assert not any(f"{image}:1-dataflow" in job for job in jobs)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("null", []),
        ("i:v2-dataflow", ["build --target dataflow --tag i:v2-dataflow .", "push i:v2-dataflow"]),
    ],
)
def test_the_image_of_dataflow_is_built_and_pushed_where_it_is_wanted(image, expected):
    build = yaml.safe_load((CI / "tag.yaml").read_text(encoding="utf-8"))
    values = {"_IMAGE": "i", "TAG_NAME": "v2", "_DATAFLOW_IMAGE": image}
    shells = [step["args"][1] for step in build["steps"] if step.get("entrypoint") == "sh"]
    script = "\n".join(bash_replaced(shell, values) for shell in shells)
    docker = 'docker() { echo "$@"; }\n'
    told = subprocess.run(
        ["sh", "-ec", docker + script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"push i:v2", "push i:v2-cuda"} <= set(told)
    assert [line for line in told if "dataflow" in line] == expected


@pytest.mark.parametrize("file", sorted(CI.glob("*.yaml")), ids=lambda file: file.name)
def test_the_trigger_is_one_that_gcloud_makes(file):
    [command] = re.findall(r"^#\s+gcloud (.+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    gcloud.check(command)
    config = re.search(r"--build-config=(\S+)", command)[1]
    assert (CI.parents[1] / config) == file


def test_a_tag_builds_both_images_for_the_user_that_was_chosen():
    build = yaml.safe_load((CI / "tag.yaml").read_text(encoding="utf-8"))
    built = [step["args"] for step in build["steps"] if step["args"][0] == "build"]
    values = {"_IMAGE": "image", "TAG_NAME": "v1", "_RUN_AS": "0"}
    assert [[bash_replaced(argument, values) for argument in given] for given in built] == [
        ["build", "--target", target, "--tag", tag, "--build-arg", "RUN_AS=0", "."]
        for target, tag in (("pipeline", "image:v1"), ("cuda", "image:v1-cuda"))
    ]
    assert build["substitutions"]["_RUN_AS"] == "1000"


def test_a_build_writes_nothing_to_the_workspace_which_is_roots():
    for file in CI.glob("*.yaml"):
        steps = yaml.safe_load(file.read_text(encoding="utf-8"))["steps"]
        for step in steps:
            assert not [argument for argument in step["args"] if "/workspace" in argument]


def test_a_strangers_pull_request_waits_for_a_comment_before_its_code_runs():
    trigger = (CI / "pull-request.yaml").read_text(encoding="utf-8")
    assert "--comment-control=COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY" in trigger
