"""Reads Terraform files, and knows the arguments of the resources in them.

The arguments and the exported attributes are those in the documentation of version 7.45.0 of the
provider (2026-08-18): https://registry.terraform.io/providers/hashicorp/google/7.45.0/docs. The
provider's source has it in `website/docs/r/`.
"""

import re
from typing import NamedTuple

import hcl2

PROVIDER_MAJOR = 7
_META = frozenset({"for_each", "count", "depends_on", "lifecycle", "provider", "timeouts"})
_EXPRESSION = re.compile(r"\$\{(.*)\}", re.DOTALL)
_REFERENCE = re.compile(r"\b(google_\w+)\.(\w+)(?:\.(\w+))?")


class _Kind(NamedTuple):
    required: frozenset
    optional: frozenset
    exported: frozenset = frozenset()


def _kind(required, optional="", exported="id"):
    return _Kind(*(frozenset(names.split()) for names in (required, optional, exported)))


KINDS = {
    "google_project_service": _kind(
        "service",
        "project disable_on_destroy disable_dependent_services "
        "check_if_service_has_usage_on_destroy deletion_policy",
    ),
    "google_storage_bucket": _kind(
        "name location",
        "force_destroy project storage_class autoclass lifecycle_rule versioning website cors "
        "default_event_based_hold retention_policy labels logging encryption "
        "enable_object_retention requester_pays rpo uniform_bucket_level_access "
        "public_access_prevention custom_placement_config soft_delete_policy "
        "hierarchical_namespace ip_filter deletion_policy",
        "self_link url",
    ),
    "google_artifact_registry_repository": _kind(
        "format repository_id",
        "description labels kms_key_name docker_config maven_config mode "
        "virtual_repository_config cleanup_policies remote_repository_config "
        "cleanup_policy_dry_run vulnerability_scanning_config location project deletion_policy",
        "id name create_time update_time registry_uri",
    ),
    "google_service_account": _kind(
        "account_id",
        "display_name description disabled project create_ignore_already_exists deletion_policy",
        "id email name unique_id member",
    ),
    "google_secret_manager_secret": _kind(
        "replication secret_id",
        "labels annotations version_aliases version_destroy_ttl topics expire_time ttl rotation "
        "tags project deletion_policy deletion_protection",
        "id name create_time",
    ),
    "google_project_iam_member": _kind("project role member", "condition", "etag"),
    "google_storage_bucket_iam_member": _kind("bucket role member", "condition", "etag"),
    "google_artifact_registry_repository_iam_member": _kind(
        "repository role member", "location project", "etag"
    ),
    "google_secret_manager_secret_iam_member": _kind(
        "secret_id role member", "project condition", "etag"
    ),
    "google_service_account_iam_member": _kind(
        "service_account_id role member", "condition", "etag"
    ),
}
_BLOCKS = {
    ("google_secret_manager_secret", "replication"): frozenset({"auto", "user_managed"}),
}


def read(folder):
    """Return a folder's blocks by kind; resources and variables by name, texts without quotes."""
    module = {"resource": {}, "variable": {}, "locals": {}, "terraform": {}, "provider": {}}
    for file in sorted(folder.glob("*.tf")):
        for kind, blocks in _plain(hcl2.loads(file.read_text(encoding="utf-8"))).items():
            for block in blocks:
                for name, value in block.items():
                    found = (
                        {(name, key): v for key, v in value.items()}
                        if kind == "resource"
                        else {name: value}
                    )
                    assert not found.keys() & module[kind].keys(), f"{found.keys()} twice"
                    module[kind] |= found
    return module


def _plain(value):
    if isinstance(value, dict):
        kept = {key: v for key, v in value.items() if not key.startswith("__")}
        return {key.strip('"'): _plain(v) for key, v in kept.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and value.startswith('"'):
        return value[1:-1]
    return value


def problems(module):
    """What is wrong with a module, as texts; empty where nothing is."""
    return [*_wrong_arguments(module), *_wrong_references(module)]


def _wrong_arguments(module):
    for (kind, name), given in module["resource"].items():
        where, known = f"{kind}.{name}", KINDS.get(kind)
        if known is None:
            yield f"{where}: the table has no {kind}"
            continue
        for key in sorted(given.keys() - known.required - known.optional - _META):
            yield f"{where}: there is no argument {key!r}"
        for key in sorted(known.required - given.keys()):
            yield f"{where}: {key!r} is missing"
        for (owner, block), names in _BLOCKS.items():
            for values in given.get(block, []) if owner == kind else []:
                for key in sorted(values.keys() - names):
                    yield f"{where}: there is no {key!r} in {block}"


def _wrong_references(module):
    text = str(module)
    declared = {"var": module["variable"], "local": module["locals"]}
    for scope, name in sorted(set(re.findall(r"\b(var|local)\.(\w+)", text))):
        if name not in declared[scope]:
            yield f"{scope}.{name} is not declared"
    for kind, name, attribute in sorted(set(_REFERENCE.findall(text))):
        known = KINDS.get(kind)
        if (kind, name) not in module["resource"]:
            yield f"there is no {kind}.{name}"
        elif attribute and attribute not in known.required | known.optional | known.exported:
            yield f"{kind}.{name} has no attribute {attribute!r}"


def literals(value, **switches):
    """The texts in a list expression, without those whose condition does not hold.

    Args:
        value: A text, or an expression of lists such as `toset(var.spot ? ["a"] : [])`.
        **switches: Values of the boolean variables.
    """
    if not (expression := _EXPRESSION.fullmatch(value)):
        return {value}
    found = set()
    for condition, items in re.findall(r"(?:([\w.| ]+?) \? )?(\[[^\]]*\])", expression[1]):
        names = re.findall(r"var\.(\w+)", condition)
        if not condition or any(switches[name] for name in names):
            found |= set(re.findall(r'"([^"]*)"', items))
    return found
