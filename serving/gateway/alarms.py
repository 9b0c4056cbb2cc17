"""Alarms: a line on stderr, a metric and a webhook; no request waits for them."""

import datetime
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from core.terminal import write_error
from serving.gateway.webhook import Webhook

_LONGEST_NAME = 80
# Kinds of alarms with names that callers make up, and how many of a kind may be raised. One that no
# request has met for so long is over: a token has expired, a key or a model's name was replaced.
_FROM_CALLERS = frozenset({"model", "key", "project", "service"})
_MAX_OF_KIND = 256
_SILENT_SECONDS = 3600.0
_UNSAFE = re.compile(r"[^\w.:/-]")


class Alarm(NamedTuple):
    """An alarm that is raised.

    Attributes:
        name: What it is about.
        text: What happened and what to do.
        since: When it was raised, ISO 8601.
    """

    name: str
    text: str
    since: str


class Alarms:
    """All alarms, by name.

    Args:
        webhook: Gets every change; None for none.
        on_change: Called with a name and whether it is raised, for the metric.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        webhook: Webhook | None,
        on_change: Callable[[str, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._webhook = webhook
        self._on_change = on_change
        self._raised: dict[str, Alarm] = {}
        self._clock = clock
        self._met: dict[str, float] = {}  # when a request last met what callers' alarms say

    def __bool__(self) -> bool:
        """Whether any is raised."""
        return bool(self._raised)

    @property
    def raised(self) -> list[Alarm]:
        """The alarms that are raised, the oldest first."""
        return list(self._raised.values())

    def is_raised(self, name: str) -> bool:
        """Whether an alarm is raised."""
        return _safe(name) in self._raised

    def set(self, name: str, is_raised: bool, text: str) -> None:
        """Raise or clear an alarm; without effect where it is so already.

        Args:
            name: What it is about.
            is_raised: Whether it is to be raised.
            text: What happened; holds no key.
        """
        name = _safe(name)
        is_known = name in self._raised
        if is_raised and is_from_callers(name):
            if not is_known and self._has_enough(_kind(name)):
                return
            self._met[name] = self._clock()
        if is_raised == is_known:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        if is_raised:
            self._raised[name] = Alarm(name, text, now)
        else:
            del self._raised[name]
            self._met.pop(name, None)
        state = "raised" if is_raised else "cleared"
        write_error(f"understudy: alarm {name} {state}: {text}")
        self._on_change(name, is_raised)
        if self._webhook is not None:
            self._webhook.put({"alarm": name, "state": state, "text": text, "time": now})

    def age_out(self) -> None:
        """Clear the alarms of callers that no request has met for an hour."""
        oldest = self._clock() - _SILENT_SECONDS
        for name in [name for name, at in self._met.items() if at < oldest]:
            self.set(name, False, "no request has met it for an hour")

    def _has_enough(self, kind: str) -> bool:
        return sum(_kind(name) == kind for name in self._raised) >= _MAX_OF_KIND


def is_from_callers(name: str) -> bool:
    """Whether callers make up what an alarm is named after."""
    return ":" in name and _kind(name) in _FROM_CALLERS


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _safe(name: str) -> str:
    return _UNSAFE.sub("?", name)[:_LONGEST_NAME]
