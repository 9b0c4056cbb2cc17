"""Tells whether a walk still sees the traffic that it is gated by."""

import datetime
from collections.abc import Mapping
from typing import Any

from serving.cutover.kept_walk import Now, stamp

_ALARM = "capture"
_QUIET = datetime.timedelta(minutes=15)


class CapturedTraffic:
    """What is known of the capture while a walk looks.

    Args:
        now: Tells the time.
    """

    def __init__(self, now: Now) -> None:
        self._now = now
        self._heard = now()

    def note_new(self) -> None:
        """Keep that new exchanges were captured."""
        self._heard = self._now()

    def problem(self, status: Mapping[str, Any]) -> str:
        """Return why nothing, or not everything, is captured; empty where it is.

        Args:
            status: What the gateway's `/understudy/status` says.
        """
        for alarm in status.get("alarms", ()):
            if alarm["name"] == _ALARM:
                return f"exchanges are not captured, so no step can be taken: {alarm['text']}"
        if self._now() - self._heard >= _QUIET:
            return (
                f"no exchange has been captured since {stamp(self._heard)}, so no step can be "
                "taken: check that the application's requests reach the gateway, and its metric "
                "understudy_capture_dropped_total"
            )
        return ""
