"""Pushes a round: all repositories, in an order that a reader never sees half of."""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from components.hf_pusher.contents import (
    Names,
    Source,
    dataset_content,
    model_content,
    space_content,
)
from components.hf_pusher.credentials import find_token, missing_token
from components.hf_pusher.hub import Commit, Content, Hub
from components.hf_pusher.local_hub import LocalHub
from components.hf_pusher.settings import PushSettings

_progress = logging.getLogger("understudy.progress")


@dataclasses.dataclass(frozen=True)
class Pushed:
    """What a push left behind.

    Attributes:
        destination: URL or folder of the model repository.
        is_local: Whether it is a folder.
        tag: The tag that all repositories of the push carry.
        repositories: Kind of repository to `owner/name`.
        commits: Kind of repository to the commit's oid.
    """

    destination: str
    is_local: bool
    tag: str
    repositories: dict[str, str]
    commits: dict[str, str]

    def record(self) -> dict[str, Any]:
        """The content of `pushed.json`."""
        return {
            "destination": self.destination,
            "local": self.is_local,
            "repositories": self.repositories,
            "tag": self.tag,
            "commits": self.commits,
        }


def open_hub(settings: PushSettings, *, runs_on_this_machine: bool) -> Hub:
    """The destination that the settings and the found token decide.

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


def push_round(settings: PushSettings, source: Source, *, runs_on_this_machine: bool) -> Pushed:
    """Push the model, then the dataset, then the Space that refers to both.

    Args:
        settings: Where to push, and what.
        source: What the round left behind.
        runs_on_this_machine: See `open_hub`.

    Raises:
        PushError: See `Hub.push`.
    """
    hub = open_hub(settings, runs_on_this_machine=runs_on_this_machine)
    name = settings.repository_name(source.task.name)
    repo_id = f"{settings.owner or hub.owner()}/{name}"
    names = Names(repo_id, repo_id if settings.push_dataset else None)
    contents = [model_content(settings, source, names)]
    if settings.push_dataset:
        contents.append(dataset_content(settings, source, names))
    if settings.push_space:
        contents.append(space_content(source, names, revision=""))
    tag = _tag(source.round, contents)
    if settings.push_space:
        contents[-1] = space_content(source, names, revision=tag)
    commits = _push_all(hub, settings, source, contents, tag)
    return Pushed(
        destination=hub.url("model", repo_id),
        is_local=hub.is_local,
        tag=tag,
        repositories={content.kind: content.repo_id for content in contents},
        commits={kind: commit.oid for kind, commit in commits.items()},
    )


def _tag(round: int, contents: list[Content]) -> str:
    """`round-N-VERSION`, the same in all repositories of a push.

    The version is a hash of everything that is pushed: new for new content, the same for a push
    that is repeated.
    """
    digests = json.dumps([(content.kind, content.digest) for content in contents])
    return f"round-{round}-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"


def _push_all(
    hub: Hub, settings: PushSettings, source: Source, contents: list[Content], tag: str
) -> dict[str, Commit]:
    where = "the local hub (no token was used)" if hub.is_local else "the Hugging Face Hub"
    rate = json.loads(source.report)["gate"]["value_percent"]
    message = f"Round {source.round}: coverage rate {rate:.1f} %"
    commits: dict[str, Commit] = {}
    for done, content in enumerate(contents):
        _progress.info(
            "pushing to %s: %s",
            where,
            hub.url(content.kind, content.repo_id),
            extra={"progress": {"done": done, "total": len(contents), "unit": "repositories"}},
        )
        commits[content.kind] = hub.push(
            content, message=message, tag=tag, private=settings.private
        )
    new = sum(commit.created for commit in commits.values())
    _progress.info(
        "pushed to %s: %d new commits, tag %s",
        where,
        new,
        tag,
        extra={"progress": {"done": len(contents), "total": len(contents), "unit": "repositories"}},
    )
    return commits
