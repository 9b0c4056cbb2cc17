"""What a mode needs of the settings and the tasks before it can be used."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from core.errors import UserError
from serving.gateway.task import ServedTask
from serving.mode_settings import Mode
from serving.settings import ServingSettings, is_loopback


class ModeError(UserError):
    """The mode cannot be set; the one before stays."""


def check_mode(
    mode: Mode, settings: ServingSettings, tasks: Sequence[ServedTask], *, is_walk: bool
) -> None:
    """Check that a mode can be used.

    Args:
        mode: The mode.
        settings: With what it needs.
        tasks: The tasks that are served.
        is_walk: Whether a walk sets it.

    Raises:
        ModeError: It cannot, and why.
    """
    if mode == "shadow" and not settings.capture.enabled:
        raise ModeError(
            "The mode 'shadow' needs captured exchanges, which `understudy verdict` judges. "
            "Set serving.capture to true."
        )
    if mode == "canary" and is_walk and not settings.capture.enabled:
        raise ModeError(
            "A walk is gated by captured exchanges, and the gateway is not capturing: start it "
            "with serving.capture.enabled=true."
        )
    if mode == "canary" and is_walk and len(tasks) > 1:
        raise ModeError(
            "The mode applies to all tasks, but a walk is gated by the answers to one; the "
            f"gateway serves {', '.join(task.name for task in tasks)}. Start a gateway of its "
            "own for the preset that is to walk (understudy serve --preset P --port N), and "
            "send its application there."
        )
    unknown = [task.name for task in tasks if task.min_confidence is None]
    if mode == "cascade" and unknown:
        raise ModeError(
            f"The mode 'cascade' needs a threshold of confidence for {', '.join(unknown)}. Set "
            "serving.confidence.enabled to true, and run `understudy confidence` once."
        )
    if mode == "private":
        _check_model_is_here(settings, tasks)


def _check_model_is_here(settings: ServingSettings, tasks: Sequence[ServedTask]) -> None:
    """Check that what is personal goes to no other machine, unless that was allowed."""
    hosts = (urlsplit(task.base_url).hostname or "" for task in tasks)
    away = next((host for host in hosts if not is_loopback(host)), None)
    if away is not None and not settings.model.private_network:
        raise ModeError(
            f"The mode 'private' would send personal data to {away!r} (serving.model.url), which "
            "is not this machine. Serve the model on this machine; or, where that one is in a "
            "private network of yours, set serving.model.private_network to true."
        )
