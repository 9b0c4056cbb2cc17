"""Pushes a round: all repositories, in an order in which a reader never sees half of them."""

import hashlib
import json
from pathlib import Path

from components.hf_pusher.base_terms import repository_name
from components.hf_pusher.contents import (
    Names,
    Source,
    base_of_source,
    dataset_content,
    model_content,
)
from components.hf_pusher.credentials import find_token, missing_token
from components.hf_pusher.hub import Commit, Content, Hub
from components.hf_pusher.local_hub import LocalHub
from components.hf_pusher.settings import PushSettings
from components.hf_pusher.space import space_content
from core.progress import progress
from core.reports.loop import PushRecord


def open_hub(settings: PushSettings, *, runs_on_this_machine: bool) -> Hub:
    """Open the destination that the settings and the token determine.

    Args:
        settings: Where to push.
        runs_on_this_machine: Whether a folder of this machine outlives the run.

    Raises:
        TokenError: A Hub is wanted, or is the only possibility, and there is no token.
    """
    token = None if settings.destination == "local" else find_token(settings)
    if token:
        from components.hf_pusher.remote_hub import RemoteHub

        return RemoteHub(token, settings.endpoint)
    if settings.destination == "hub" or not runs_on_this_machine:
        raise missing_token(settings)
    return LocalHub(Path(settings.local_hub_dir))


def push_round(settings: PushSettings, source: Source, *, runs_on_this_machine: bool) -> PushRecord:
    """Push the model, then the dataset, then the Space that refers to both.

    Args:
        settings: Where to push, and what.
        source: What the round left behind.
        runs_on_this_machine: See `open_hub`.

    Raises:
        PushError: See `Hub.push`.
    """
    hub = open_hub(settings, runs_on_this_machine=runs_on_this_machine)
    name = repository_name(settings, source.task.name, base_of_source(settings, source))
    repo_id = f"{settings.owner or hub.owner()}/{name}"
    has_dataset = settings.pushes_dataset(has_logged=source.has_logged)
    if source.has_logged and settings.push_dataset is None:
        progress.info("the dataset holds logged exchanges and is not pushed (push.push_dataset)")
    names = Names(repo_id, repo_id if has_dataset else None, is_local=hub.is_local)
    contents = [model_content(settings, source, names)]
    if has_dataset:
        contents.append(dataset_content(settings, source, names))
    if settings.push_space:
        contents.append(space_content(source, names, revision=""))
    tag = _tag(source.round, contents)
    if settings.push_space:
        contents[-1] = space_content(source, names, revision=tag)
    commits = _push_all(hub, settings, source, contents, tag)
    return PushRecord(
        destination=hub.url("model", repo_id),
        local=hub.is_local,
        tag=tag,
        repositories={content.kind: content.repo_id for content in contents},
        commits={kind: commit.oid for kind, commit in commits.items()},
    )


def _tag(round: int, contents: list[Content]) -> str:
    """Return `round-N-VERSION`, the same in all repositories of a push.

    The version is a hash of everything that is pushed: new for new content, the same for a repeated
    push.
    """
    digests = json.dumps([(content.kind, content.digest) for content in contents])
    return f"round-{round}-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"


def _push_all(
    hub: Hub, settings: PushSettings, source: Source, contents: list[Content], tag: str
) -> dict[str, Commit]:
    where = "the local hub (no token was used)" if hub.is_local else "the Hugging Face Hub"
    rate = source.report.gate.value_percent
    message = f"Round {source.round}: coverage rate {rate:.1f} %"
    commits: dict[str, Commit] = {}
    for done, content in enumerate(contents):
        progress.info(
            "pushing to %s: %s",
            where,
            hub.url(content.kind, content.repo_id),
            extra={"progress": {"done": done, "total": len(contents), "unit": "repositories"}},
        )
        commits[content.kind] = hub.push(
            content, message=message, tag=tag, private=settings.private
        )
    new = sum(commit.created for commit in commits.values())
    progress.info(
        "pushed to %s: %d new commits, tag %s",
        where,
        new,
        tag,
        extra={"progress": {"done": len(contents), "total": len(contents), "unit": "repositories"}},
    )
    return commits
