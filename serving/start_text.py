"""What a gateway says once it is ready: where it is, and a command to try."""

import json
import shlex
from collections.abc import Sequence

from serving.gateway.task import ServedTask

_LONGEST_SAMPLE = 160  # characters of a coverage prompt in a command to paste
_PLACEHOLDER = "YOUR MESSAGE"


def ready_text(
    tasks: Sequence[ServedTask], url: str, key_env: str | None, *, shows_prompt: bool
) -> str:
    """Return what a person does next.

    Args:
        tasks: What is served, at least one.
        url: Of the gateway.
        key_env: Environment variable with the gateway's own key; None where it has none.
        shows_prompt: Whether the command to try may have a coverage prompt.
    """
    return "\n".join(
        [
            *(f"{task.model_version} is ready behind {url}" for task in tasks),
            f"Point the application at {url}",
            f"{url}/understudy/ shows who answers.",
            "Ask the tuned model:",
            sample_command(tasks[0], url, key_env, shows_prompt=shows_prompt),
            "Which requests it answers: docs/takeover.md, “What is covered”.",
        ]
    )


def sample_command(task: ServedTask, url: str, key_env: str | None, *, shows_prompt: bool) -> str:
    """Return a command that asks a tuned model one coverage prompt.

    Args:
        task: Its task.
        url: See `ready_text`.
        key_env: See `ready_text`.
        shows_prompt: See `ready_text`.
    """
    text = min(task.samples, key=len, default=_PLACEHOLDER)
    if len(text) > _LONGEST_SAMPLE or not shows_prompt:
        text = _PLACEHOLDER
    body = json.dumps({"task": task.name, "text": text}, ensure_ascii=False)
    headers = ["-H 'Content-Type: application/json'"]
    if key_env:
        headers.append(f'-H "x-understudy-key: ${key_env}"')
    parts = [f"  curl -s {shlex.quote(f'{url}/understudy/sample')}", *headers]
    return " \\\n    ".join([*parts, f"-d {shlex.quote(body)}"])
