"""The Terraform of deploy/terraform makes what deploy/setup.sh makes."""

import copy
import re

import pytest

from tests.deploy import terraform
from tests.pipeline.vertex.scripts import DEPLOY, Scripts

MODULE = terraform.read(DEPLOY / "terraform")
PROJECT, ME = "my-team", "user:me@example.com"
# What a role is granted on: gcloud's words, and the argument that names it.
SCOPES = {
    "google_project_iam_member": ("projects", "project"),
    "google_storage_bucket_iam_member": ("storage buckets", "bucket"),
    "google_artifact_registry_repository_iam_member": ("artifacts repositories", "repository"),
    "google_secret_manager_secret_iam_member": ("secrets", "secret_id"),
    "google_service_account_iam_member": ("iam service-accounts", "service_account_id"),
}


def test_arguments_and_references_are_those_of_the_provider():
    assert terraform.problems(MODULE) == []
    wanted = {"source": "hashicorp/google", "version": f"~> {terraform.PROVIDER_MAJOR}.0"}
    assert MODULE["terraform"]["required_providers"] == [{"google": wanted}]


def test_misspelled_arguments_and_references_are_found():
    broken = copy.deepcopy(MODULE)
    bucket = broken["resource"]["google_storage_bucket", "artifacts"]
    bucket["locaton"] = bucket.pop("location")
    bucket["project"] = "${var.projekt}"
    secret = broken["resource"]["google_secret_manager_secret", "token"]
    secret["replication"] = [{"automatic": [{}]}]
    broken["resource"]["google_project_iam_member", "build"]["member"] = (
        "${google_service_account.build.mail}"
    )
    del broken["resource"]["google_artifact_registry_repository", "images"]
    found = " ".join(terraform.problems(broken))
    for problem in (
        "no argument 'locaton'",
        "'location' is missing",
        "var.projekt is not declared",
        "no 'automatic' in replication",
        "google_service_account.build has no attribute 'mail'",
        "no google_artifact_registry_repository.images",
    ):
        assert problem in found


def _names():
    """Every reference to a thing or a member, with its name where the defaults are kept."""
    resources, defaults = MODULE["resource"], MODULE["variable"]
    bucket = re.search(r': "(.*)"', MODULE["locals"]["bucket"])[1]
    names = {
        "${var.project}": PROJECT,
        "${var.submitter}": ME,
        "${google_storage_bucket.artifacts.name}": "gs://"
        + bucket.replace("${var.project}", PROJECT),
        "${google_artifact_registry_repository.images.name}": defaults["repository"]["default"],
        "${google_secret_manager_secret.token.secret_id}": defaults["token_secret"]["default"],
    }
    for account in ("tasks", "build"):
        start = resources["google_service_account", account]["account_id"]
        address = f"{start}@{PROJECT}.iam.gserviceaccount.com"
        names[f"${{google_service_account.{account}.name}}"] = address
        names[f"${{google_service_account.{account}.member}}"] = f"serviceAccount:{address}"
    return names


def _grants_of_terraform(**switches):
    names = _names()
    for (kind, _), given in MODULE["resource"].items():
        if kind not in SCOPES:
            continue
        words, argument = SCOPES[kind]
        many = given.get("for_each", "")
        targets = many.values() if isinstance(many, dict) else [given[argument]]
        wanted = many if given["role"] == "${each.key}" else given["role"]
        for target in targets:
            for role in terraform.literals(wanted, **switches):
                yield words, names[target], names[given["member"]], role


@pytest.mark.parametrize("wanted", ["", "DATAFLOW", "SPOT", "TAG_BUILDS"])
def test_terraform_and_the_script_grant_the_same_roles_and_enable_the_same_apis(wanted, tmp_path):
    options = {wanted: "1"} if wanted else {}
    _, commands = Scripts(tmp_path)("setup.sh", PROJECT=PROJECT, **options)
    switches = {name: name.upper() == wanted for name in ("dataflow", "spot", "tag_builds")}
    pattern = re.compile(r"(.*?) add-iam-policy-binding (\S+) .*--member=(\S+) --role=(\S+)")
    granted = [match.groups() for match in map(pattern.match, commands) if match]
    assert sorted(_grants_of_terraform(**switches)) == sorted(granted)
    [enabled] = [command for command in commands if command.startswith("services enable")]
    apis = terraform.literals(MODULE["locals"]["apis"], **switches)
    assert {f"{api}.googleapis.com" for api in apis} == set(enabled.split()[2:])


def test_the_bucket_and_the_images_are_where_and_as_the_script_makes_them(tmp_path):
    _, commands = Scripts(tmp_path)("setup.sh", PROJECT=PROJECT)
    region = MODULE["variable"]["region"]["default"]
    bucket, images = (c for c in commands if " create " in c and f"--location={region}" in c)
    made = MODULE["resource"]["google_storage_bucket", "artifacts"]
    assert made["uniform_bucket_level_access"] is True
    assert made["public_access_prevention"] == "enforced"
    assert "--uniform-bucket-level-access --public-access-prevention" in bucket
    made = MODULE["resource"]["google_artifact_registry_repository", "images"]
    assert f"--repository-format={made['format'].lower()}" in images
    assert made["description"] in images


def test_no_token_goes_into_terraforms_state():
    assert not [kind for kind, _ in MODULE["resource"] if kind.endswith("secret_version")]
    assert not [name for name in MODULE["variable"] if "hf" in name]
