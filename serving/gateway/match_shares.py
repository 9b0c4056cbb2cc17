"""The match shares of all tasks: counted request by request, and said where one has fallen."""

from collections.abc import Callable, Sequence

from serving.gateway.match_share import Fall, MatchShare
from serving.gateway.matching import Match, Unmatched
from serving.gateway.task import ServedTask
from task.privacy import PrivacySettings, redact

_EXCERPT = 300  # characters of a text that no longer matches

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
        self._privacy = {task.name: task.privacy for task in tasks}
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
        excerpt = "" if isinstance(found, Match) else found.excerpt[: 2 * _EXCERPT]
        for name, share in self._shares.items():
            share.record(is_matched=name == matched, excerpt=excerpt)
            self._on_share(name, share.share)
            fall = share.fall()
            if bool(fall) != (name in self._fallen):
                self._fallen ^= {name}
                privacy = None if is_private else self._privacy[name]
                self._on_fall(name, fall is not None, _text(name, share.share, fall, privacy))


def _text(name: str, share: float, fall: Fall | None, privacy: PrivacySettings | None) -> str:
    """Return what is to be said; it goes to the log and to a webhook.

    Args:
        name: The task's.
        share: Of the latest requests.
        fall: None where it has come back.
        privacy: What hides personal data in an excerpt; None shows none.
    """
    if fall is None:
        return f"the share of requests of task {name} is {share:.0%}"
    text = f"the share of requests of task {name} is {fall.latest:.0%}, and was {fall.before:.0%}. "
    if privacy is not None:
        [excerpt] = redact([fall.excerpt], privacy).texts
        text += f"The latest text that does not match: {excerpt[:_EXCERPT]!r}. "
    return f"{text}Add the new instruction to serving.accepted_instructions if it is the task's"
