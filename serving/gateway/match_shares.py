"""The match shares of all tasks: counted request by request, and said where one has fallen."""

from collections.abc import Callable, Sequence

from serving.gateway.match_share import Fall, MatchShare
from serving.gateway.matching import Match, Unmatched
from serving.gateway.task import ServedTask
from serving.settings import PLACEHOLDER
from task.privacy import redact

_EXCERPT = 300  # characters of a text that no longer matches
_TO_DO = {
    "system": (
        "If the new system text is the task's, put it into serving.accepted_instructions, whole, "
        "and restart"
    ),
    "template": (
        "Compare serving.template and serving.accepted_instructions with what the application sends"
    ),
    "model": "Compare serving.model_alias with the model that the application asks for",
    "any": "`understudy serve --explain` says what is unlike the task in a request",
}

OnFall = Callable[[str, bool, str], None]
"""Called with a task's name, whether its share has fallen, and what to say, at each change."""


class MatchShares:
    """The match shares.

    Args:
        tasks: All tasks; a reload changes none of their names.
        on_share: Called with a task's name and its share, 0 to 1, after each request.
        on_fall: See `OnFall`.
    """

    def __init__(
        self,
        tasks: Sequence[ServedTask],
        on_share: Callable[[str, float], None],
        on_fall: OnFall,
    ) -> None:
        self._shares = {task.name: MatchShare() for task in tasks}
        self._tasks = {task.name: task for task in tasks}
        self._on_share = on_share
        self._on_fall = on_fall
        self._fallen: set[str] = set()

    def share(self, name: str) -> float:
        """Return a task's share of the latest requests, 0 to 1; 0 before the first."""
        return self._shares[name].share if name in self._shares else 0.0

    def record(self, found: Match | Unmatched, *, is_private: bool) -> None:
        """Count a request.

        Args:
            found: What was found of it.
            is_private: Whether nothing of its text may be shown.
        """
        matched = found.task.name if isinstance(found, Match) else ""
        for name, share in self._shares.items():
            excerpt = "" if isinstance(found, Match) else _kept(found, self._tasks[name])
            share.record(is_matched=name == matched, excerpt=excerpt)
            self._on_share(name, share.share)
            fall = share.fall()
            if bool(fall) != (name in self._fallen):
                self._fallen ^= {name}
                text = _text(self._tasks[name], share.share, fall, is_private=is_private)
                self._on_fall(name, fall is not None, text)


def _kept(found: Unmatched, task: ServedTask) -> str:
    """Return the part of a text that does not match from which `_shown` is taken.

    It is longer, since personal data that is cut in two might not be recognized.
    """
    if found.reason != "template":
        return found.excerpt[: 2 * _EXCERPT]
    if task.match != "template":
        return ""
    before, after = _around(task)
    end = found.excerpt[-len(after) - _EXCERPT :]
    return found.excerpt[: len(before) + _EXCERPT] if before else end


def _shown(text: str, task: ServedTask) -> str:
    """Return what may be shown: of a text around a message, as much as the template has there."""
    if task.match != "template":
        return text[:_EXCERPT]
    before, after = _around(task)
    return text[: min(len(before), _EXCERPT)] if before else text[-min(len(after), _EXCERPT) :]


def _around(task: ServedTask) -> tuple[str, str]:
    before, _, after = (task.template or PLACEHOLDER).partition(PLACEHOLDER)
    return before.strip(), after.strip()


def _text(task: ServedTask, share: float, fall: Fall | None, *, is_private: bool) -> str:
    """Return what is to be said; it goes to the log and to a webhook.

    Args:
        task: The task.
        share: Of the latest requests.
        fall: None where it has come back.
        is_private: Whether no excerpt is shown.
    """
    text = f"the share of requests of task {task.name} is "
    if fall is None:
        return f"{text}{share:.0%}"
    text += f"{fall.latest:.0%}, and was {fall.before:.0%}. "
    if fall.excerpt and not is_private:
        [excerpt] = redact([fall.excerpt], task.privacy).texts
        text += f"The latest text that does not match: {_shown(excerpt, task)!r}. "
    return f"{text}{_TO_DO[task.match]}"
