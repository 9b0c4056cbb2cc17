"""Says what Google Cloud refused, and names the command that fixes it."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.bucket_uri import GCS, split_uri
from core.errors import UserError
from pipeline.vertex.settings import VertexSettings

_ME = '"user:$(gcloud config get account)"'
_REPOSITORY = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/")
_LONGEST_MESSAGE = 600  # characters of Google's own message that are shown


class VertexError(UserError):
    """Google Cloud refused something, or a round failed there."""


class _Rule(NamedTuple):
    pattern: str
    advice: Callable[[VertexSettings, re.Match[str]], str]


@contextlib.contextmanager
def explained(vertex: VertexSettings) -> Iterator[None]:
    """Turn errors of Google's client libraries into `VertexError` with an advice.

    Raises:
        VertexError: A call inside the context failed.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise VertexError(
            f"Google Cloud: {_shortened(str(error))}\n{advice(str(error), vertex)}"
        ) from error


def advice(message: str, vertex: VertexSettings) -> str:
    """Return what to do about an error, with the command for it.

    Args:
        message: What Google Cloud said: the text of an exception, or of a failed task.
        vertex: The settings that the command is filled in from.
    """
    for rule in _RULES:
        if match := re.search(rule.pattern, message, re.IGNORECASE | re.DOTALL):
            return rule.advice(vertex, match)
    return "Change what is named above and run the same command again."


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} …"


def _bucket(vertex: VertexSettings) -> str:
    return GCS + split_uri(vertex.root)[0]


def _account(vertex: VertexSettings) -> str:
    return vertex.service_account or "ACCOUNT_OF_THE_TASKS"


def _sign_in(vertex: VertexSettings, match: re.Match[str]) -> str:
    return "Sign in: gcloud auth application-default login"


def _enable_api(vertex: VertexSettings, match: re.Match[str]) -> str:
    named = re.search(r"\w+\.googleapis\.com", match.string)
    api = named[0] if named else "aiplatform.googleapis.com"
    return f"Enable the API: gcloud services enable {api} --project={vertex.project}"


def _link_billing(vertex: VertexSettings, match: re.Match[str]) -> str:
    return (
        "Link a billing account: gcloud billing projects link "
        f"{vertex.project} --billing-account=ACCOUNT_ID"
    )


def _act_as(vertex: VertexSettings, match: re.Match[str]) -> str:
    bind = (
        f"gcloud iam service-accounts add-iam-policy-binding {_account(vertex)} "
        f"--project={vertex.project} --role=roles/iam.serviceAccountUser"
    )
    lines = f"Let yourself start tasks as the service account: {bind} --member={_ME}"
    if vertex.spot_machine_type or vertex.dataflow_image:
        tasks = f"--member=serviceAccount:{_account(vertex)}"
        lines += f"\nand let the tasks start their own jobs as it: {bind} {tasks}"
    return lines


def _make_account(vertex: VertexSettings, match: re.Match[str]) -> str:
    name = _account(vertex).partition("@")[0]
    return (
        f"Make the service account: gcloud iam service-accounts create {name} "
        f"--project={vertex.project}\nand grant it its roles: PROJECT={vertex.project} "
        "deploy/setup.sh"
    )


def _make_bucket(vertex: VertexSettings, match: re.Match[str]) -> str:
    return (
        f"Make the bucket: gcloud storage buckets create {_bucket(vertex)} "
        f"--project={vertex.project} --location={vertex.region} --uniform-bucket-level-access "
        "--public-access-prevention\nOr name another one with vertex.pipeline_root."
    )


def _open_bucket(vertex: VertexSettings, match: re.Match[str]) -> str:
    bind = f"gcloud storage buckets add-iam-policy-binding {_bucket(vertex)}"
    of_bucket = "storage.buckets." in match.string
    role = f"--role=roles/storage.{'legacyBucketReader' if of_bucket else 'objectUser'}"
    return (
        f"Grant access to the bucket, to yourself: {bind} --member={_ME} {role}\n"
        f"and to the tasks: {bind} --member=serviceAccount:{_account(vertex)} {role}"
    )


def _open_registry(vertex: VertexSettings, match: re.Match[str]) -> str:
    named = _REPOSITORY.match(vertex.image)
    if named:
        location, project, name = named.groups()
        bind = (
            f"gcloud artifacts repositories add-iam-policy-binding {name} "
            f"--location={location} --project={project}"
        )
    else:
        bind = f"gcloud projects add-iam-policy-binding {vertex.project}"
    role = "--role=roles/artifactregistry.reader"
    return (
        f"Grant access to the images, to yourself: {bind} --member={_ME} {role}\n"
        f"and to the tasks: {bind} --member=serviceAccount:{_account(vertex)} {role}"
    )


def _build_image(vertex: VertexSettings, match: re.Match[str]) -> str:
    images = ", ".join(vertex.images)
    return (
        f"Check the name ({images}), or build and push the image: PROJECT={vertex.project} "
        f"REGION={vertex.region} deploy/build.sh {vertex.image}"
    )


def _raise_quota(vertex: VertexSettings, match: re.Match[str]) -> str:
    listed = (
        "gcloud beta quotas info list --service=aiplatform.googleapis.com "
        f"--project={vertex.project}"
    )
    raised = (
        "gcloud beta quotas preferences create --service=aiplatform.googleapis.com "
        f"--project={vertex.project} --quota-id=QUOTA_ID --preferred-value=N "
        f"--dimensions=region={vertex.region}"
    )
    return (
        f"The quota is used up. See the quotas: {listed}\nAsk for more: {raised}\n"
        "Or choose another vertex.region or vertex.accelerator_type, and run again."
    )


def _use_vertex(vertex: VertexSettings, match: re.Match[str]) -> str:
    return (
        f"Grant yourself the role: gcloud projects add-iam-policy-binding {vertex.project} "
        f"--member={_ME} --role=roles/aiplatform.user"
    )


def _read_secrets(vertex: VertexSettings, match: re.Match[str]) -> str:
    texts = (match.string, *vertex.secrets.values())
    named = [found[1] for text in texts if (found := re.search(r"secrets/([\w-]+)", text))]
    secret = named[0] if named else "SECRET"
    return (
        f"Let the tasks read the secret: gcloud secrets add-iam-policy-binding {secret} "
        f"--project={vertex.project} --member=serviceAccount:{_account(vertex)} "
        "--role=roles/secretmanager.secretAccessor\nIf it has no value yet: "
        f"gcloud secrets versions add {secret} --project={vertex.project} --data-file=FILE"
    )


def _wait_for_machines(vertex: VertexSettings, match: re.Match[str]) -> str:
    return (
        "The region has no such machine to spare now. Run the same command again later, choose "
        "another vertex.region or vertex.accelerator_type, or pay for ordinary machines with "
        "vertex.spot_machine_type=null."
    )


def _more_memory(vertex: VertexSettings, match: re.Match[str]) -> str:
    return (
        f"A task ran out of memory. Give it more than {vertex.memory_limit_gib:g} GiB with "
        "vertex.memory_limit_gib, or lower training.batch_size or generation.batch_size."
    )


def _try_again(vertex: VertexSettings, match: re.Match[str]) -> str:
    return "Check the network and run the same command again. Submitted jobs keep running."


# The first that fits is taken: from what names its cause to what only names a status.
_RULES = (
    _Rule(
        r"credentials were not found|reauthenticat|invalid_grant|RefreshError|\b401\b", _sign_in
    ),
    _Rule(r"BILLING_DISABLED|billing (to be enabled|account)|requires billing", _link_billing),
    _Rule(r"has not been used in project|SERVICE_DISABLED", _enable_api),
    _Rule(r"iam\.serviceAccounts\.actAs|permission to act as|iam\.serviceaccountuser", _act_as),
    _Rule(r"service account .{0,200}(not exist|not found)", _make_account),
    _Rule(r"bucket .{0,80}not (found|exist)", _make_bucket),
    _Rule(r"secretmanager|secret .{0,120}cannot be read", _read_secrets),
    _Rule(r"artifactregistry\.\S+ (denied|on)|pull access denied|Permission .{0,30}artifactreg",
          _open_registry),
    _Rule(r"manifest unknown|ImagePullBackOff|ErrImagePull|image .{0,200}not (found|exist)|"
          r"failed to pull", _build_image),
    _Rule(r"storage\.(objects|buckets)\.|access to the Google Cloud Storage", _open_bucket),
    _Rule(r"STOCKOUT|resource pool exhausted|RESOURCE_POOL_EXHAUSTED|resources are insufficient",
          _wait_for_machines),
    _Rule(r"\b429\b|quota|RESOURCE_EXHAUSTED", _raise_quota),
    _Rule(r"out of memory|OOMKilled|exit(ed with)? (status|code).{0,20}137|low on memory",
          _more_memory),
    _Rule(r"aiplatform\.\w+\.|\b403\b|PERMISSION_DENIED", _use_vertex),
    _Rule(r"\b50[0234]\b|connection|timed out|max retries|name resolution", _try_again),
)  # fmt: skip
