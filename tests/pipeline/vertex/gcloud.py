"""What `gcloud` accepts, for the commands that this repository runs or names.

Taken from the commands' definitions in version 578.0.0 of the Google Cloud CLI; each is described
at https://cloud.google.com/sdk/gcloud/reference. A flag with `=` takes a value.
"""

import shlex
from collections.abc import Set
from typing import NamedTuple

_EVERYWHERE = {"project=", "account=", "format=", "quiet", "verbosity="}
_BINDING = {"member=", "role="}


class _Command(NamedTuple):
    least: int  # positional arguments
    most: int
    required: Set[str] = frozenset()
    optional: Set[str] = frozenset()


_ONE = _Command(1, 1)
_BIND = _Command(1, 1, _BINDING, {"condition=", "condition-from-file="})
_MANY = 100
_SCHEDULED = {"location=", "http-method=", "oauth-service-account-email=", "time-zone="}

COMMANDS = {
    "ai custom-jobs cancel": _Command(1, 1, set(), {"region="}),
    "ai custom-jobs list": _Command(0, 0, set(), {"region=", "filter=", "limit=", "sort-by="}),
    "ai custom-jobs create": _Command(
        0,
        0,
        {"display-name="},
        {
            "region=",
            "config=",
            "args=",
            "command=",
            "labels=",
            "network=",
            "service-account=",
            "worker-pool-spec=",
        },
    ),
    "ai custom-jobs stream-logs": _Command(
        1, 1, set(), {"region=", "polling-interval=", "allow-multiline-logs", "task-name="}
    ),
    "artifacts repositories add-iam-policy-binding": _Command(1, 1, _BINDING, {"location="}),
    "artifacts repositories create": _Command(
        1, 1, {"repository-format="}, {"location=", "description=", "labels=", "async"}
    ),
    "artifacts repositories delete": _Command(1, 1, set(), {"location=", "async"}),
    "artifacts repositories describe": _Command(1, 1, set(), {"location="}),
    "auth application-default login": _Command(0, 0, set(), {"scopes=", "no-launch-browser"}),
    "auth print-access-token": _Command(0, 1),
    "auth login": _Command(0, 1, set(), {"no-launch-browser", "update-adc"}),
    "beta monitoring channels create": _Command(
        0, 0, set(), {"display-name=", "type=", "channel-labels=", "description="}
    ),
    "beta monitoring channels delete": _Command(1, 1, set(), {"force"}),
    "beta monitoring channels list": _Command(0, 0, set(), {"filter=", "page-size="}),
    "beta quotas info list": _Command(0, 0, {"service="}, {"filter=", "page-size="}),
    "beta quotas preferences create": _Command(
        0,
        0,
        {"service=", "quota-id=", "preferred-value="},
        {"dimensions=", "preference-id=", "email=", "justification="},
    ),
    "billing budgets create": _Command(
        0,
        0,
        {"billing-account=", "display-name=", "budget-amount="},
        {
            "filter-projects=",
            "threshold-rule=",
            "calendar-period=",
            "notifications-rule-monitoring-notification-channels=",
        },
    ),
    "billing budgets delete": _Command(1, 1, set(), {"billing-account="}),
    "billing budgets list": _Command(0, 0, {"billing-account="}, {"filter=", "page-size="}),
    "billing projects link": _Command(1, 1, {"billing-account="}),
    "builds submit": _Command(
        0,
        1,
        set(),
        {
            "config=",
            "region=",
            "service-account=",
            "gcs-source-staging-dir=",
            "substitutions=",
            "machine-type=",
            "timeout=",
            "async",
        },
    ),
    "builds triggers create github": _Command(
        0,
        0,
        {"build-config="},
        {
            "name=",
            "region=",
            "repo-owner=",
            "repo-name=",
            "pull-request-pattern=",
            "tag-pattern=",
            "comment-control=",
            "service-account=",
            "substitutions=",
        },
    ),
    "config get": _ONE,
    "iam service-accounts add-iam-policy-binding": _BIND,
    "iam service-accounts create": _Command(1, 1, set(), {"display-name=", "description="}),
    "iam service-accounts delete": _ONE,
    "iam service-accounts describe": _ONE,
    "monitoring policies create": _Command(
        0, 0, set(), {"policy-from-file=", "notification-channels="}
    ),
    "monitoring policies delete": _ONE,
    "monitoring policies list": _Command(0, 0, set(), {"filter=", "page-size="}),
    "projects add-iam-policy-binding": _BIND,
    "projects remove-iam-policy-binding": _Command(1, 1, _BINDING, {"condition=", "all"}),
    "run jobs add-iam-policy-binding": _Command(1, 1, _BINDING, {"region="}),
    "run jobs delete": _Command(1, 1, set(), {"region="}),
    "run jobs deploy": _Command(
        1,
        1,
        {"image="},
        {
            "region=",
            "service-account=",
            "memory=",
            "cpu=",
            "max-retries=",
            "task-timeout=",
            "args=",
            "command=",
        },
    ),
    "run deploy": _Command(
        1,
        1,
        {"image="},
        {
            "region=",
            "port=",
            "gpu=",
            "gpu-type=",
            "no-gpu-zonal-redundancy",
            "cpu=",
            "memory=",
            "no-cpu-throttling",
            "min-instances=",
            "max-instances=",
            "ingress=",
            "no-invoker-iam-check",
            "service-account=",
            "set-secrets=",
            "args=",
        },
    ),
    "run jobs execute": _Command(1, 1, set(), {"region=", "args=", "wait", "async"}),
    "run services delete": _Command(1, 1, set(), {"region=", "async"}),
    "run services describe": _Command(1, 1, set(), {"region="}),
    "scheduler jobs create http": _Command(1, 1, {"schedule=", "uri="}, _SCHEDULED),
    "scheduler jobs delete": _Command(1, 1, set(), {"location="}),
    "scheduler jobs describe": _Command(1, 1, set(), {"location="}),
    "scheduler jobs update http": _Command(1, 1, set(), {"schedule=", "uri=", *_SCHEDULED}),
    "secrets add-iam-policy-binding": _BIND,
    "secrets create": _Command(
        1, 1, set(), {"replication-policy=", "locations=", "data-file=", "labels="}
    ),
    "secrets delete": _ONE,
    "secrets describe": _ONE,
    "secrets versions access": _Command(1, 1, {"secret="}, {"out-file="}),
    "secrets versions add": _Command(1, 1, {"data-file="}),
    "secrets versions describe": _Command(1, 1, {"secret="}),
    "services enable": _Command(1, _MANY, set(), {"async"}),
    "storage buckets add-iam-policy-binding": _BIND,
    "storage buckets create": _Command(
        1,
        _MANY,
        set(),
        {"location=", "uniform-bucket-level-access", "public-access-prevention"},
    ),
    "storage buckets describe": _ONE,
    "storage buckets update": _Command(0, _MANY, set(), {"lifecycle-file=", "versioning"}),
    "storage rm": _Command(1, _MANY, set(), {"recursive", "all-versions"}),
    "storage rsync": _Command(2, 2, set(), {"recursive", "exclude="}),
}


def check(words):
    """Fail on a command that `gcloud` would refuse.

    Args:
        words: The arguments of `gcloud`; a string is split as a shell does.
    """
    words = shlex.split(words) if isinstance(words, str) else list(words)
    shown = " ".join(words)
    flags = [word for word in words if word.startswith("--")]
    plain = [word for word in words if not word.startswith("--")]
    names = [" ".join(plain[:n]) for n in range(len(plain), 0, -1)]
    name = next((name for name in names if name in COMMANDS), None)
    assert name, f"gcloud has no command {shown!r}"
    command = COMMANDS[name]
    positional = len(plain) - len(name.split())
    assert command.least <= positional <= command.most, f"{positional} arguments: gcloud {shown}"
    given = {flag[2:].partition("=")[0] + ("=" if "=" in flag else "") for flag in flags}
    known = command.required | command.optional | _EVERYWHERE
    assert given <= known, f"gcloud {name} has no {sorted(given - known)}: gcloud {shown}"
    missing = command.required - given
    assert not missing, f"gcloud {name} needs {sorted(missing)}: gcloud {shown}"
    empty = [flag for flag in flags if flag.endswith("=")]
    assert not empty, f"{empty} without a value: gcloud {shown}"
