"""The match shares of all tasks: counted request by request, and said where one has fallen."""

from collections.abc import Callable, Sequence

from serving.gateway.match_share import Excerpt, Fall, MatchShare
from serving.gateway.matching import Match, Unmatched
from serving.gateway.task import ServedTask
from task.privacy import PrivacySettings, find, redact

_EXCERPT = 300  # characters of a text that no longer matches
_MORE = 4000  # in which personal data or a key that is cut in two there is recognized
_TO_DO = {
    "system": (
        "If the new system text is the task's, put it into serving.accepted_instructions, whole, "
        "and restart"
    ),
    "template": (
        "Compare serving.template and serving.accepted_instructions with what the application sends"
    ),
    "model": "Compare serving.model_alias with the model that the application asks for",
}
_ELSE_TO_DO = "`understudy serve --explain` says what is unlike the task in a request"

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
            reason, excerpt = "", None
            if isinstance(found, Unmatched):
                reason = found.reason
                excerpt = None if is_private else _excerpt(found, self._tasks[name])
            share.record(is_matched=name == matched, reason=reason, excerpt=excerpt)
            self._on_share(name, share.share)
            fall = share.fall()
            if bool(fall) != (name in self._fallen):
                self._fallen ^= {name}
                text = _text(self._tasks[name], share.share, fall)
                self._on_fall(name, fall is not None, text)


def _excerpt(found: Unmatched, task: ServedTask) -> Excerpt | None:
    """Return what an alarm may show of a text: around a message, as much as the template has."""
    if not found.excerpt:
        return None
    if found.reason != "template":
        return Excerpt(found.excerpt[: _EXCERPT + _MORE], _EXCERPT)
    if task.match != "template":
        return None
    before, after = (part.strip() for part in task.around)
    if before and not (after and _begins(found.excerpt, before)):
        size = min(len(before), _EXCERPT)
        return Excerpt(found.excerpt[: size + _MORE], size)
    size = min(len(after), _EXCERPT)
    return Excerpt(found.excerpt[-size - _MORE :], size, is_end=True) if size else None


def _begins(text: str, before: str) -> bool:
    """Whether a text begins as the template does, so that its end is what does not fit."""
    return " ".join(text.split()).startswith(" ".join(before.split()))


def _text(task: ServedTask, share: float, fall: Fall | None) -> str:
    """Return what is to be said; it goes to the log and to a webhook.

    Args:
        task: The task.
        share: Of the latest requests.
        fall: None where it has come back.
    """
    text = f"the share of requests of task {task.name} is "
    if fall is None:
        return f"{text}{share:.0%}"
    text += f"{fall.latest:.0%}, and was {fall.before:.0%}. "
    if fall.reason:
        text += f"Of most other requests {Unmatched(fall.reason).why}. "
    if fall.excerpt:
        text += f"The latest of these texts: {_shown(fall.excerpt, task.privacy)!r}. "
    return text + _TO_DO.get(fall.reason, _ELSE_TO_DO)


def _shown(excerpt: Excerpt, privacy: PrivacySettings) -> str:
    """Return the part of a text that may be shown, without what is cut in two at its border."""
    text, size = excerpt.text, min(excerpt.size, len(excerpt.text))
    start, end = (len(text) - size, len(text)) if excerpt.is_end else (0, size)
    for finding in find(text, privacy):
        if finding.start < end < finding.end:
            end = finding.start
        if finding.start < start < finding.end:
            start = finding.end
    [redacted] = redact([text[start:end]], privacy).texts
    return redacted
