"""Tells whether a walk still sees the traffic that it is gated by."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from core.captured import CapturedExchange
from serving.cutover.kept_walk import Now, stamp
from serving.cutover.pairs import why_unhealthy
from serving.gateway.reasons import Reason

_ALARM = "capture"
_ALL = 100.0
_QUIET = datetime.timedelta(minutes=15)


class CapturedTraffic:
    """What is known of the capture while a walk looks.

    Args:
        now: Tells the time.
    """

    def __init__(self, now: Now) -> None:
        self._now = now
        self._heard = self._well = now()
        self._why_unwell = ""  # of the latest answer of the service

    def note_new(self, exchanges: Sequence[CapturedExchange]) -> None:
        """Keep that new exchanges were captured."""
        if exchanges:
            self._heard = self._now()
        for exchange in exchanges:
            reason = Reason.of(exchange.reason)
            # What the model or the caller has ended says nothing of the service.
            if exchange.service is not None and not (reason.model or reason.is_by_caller):
                self._why_unwell = why_unhealthy(exchange)
                self._well = self._well if self._why_unwell else self._heard

    def problem(self, status: Mapping[str, Any], percent: float) -> str:
        """Return why nothing, or not everything, is captured; empty where it is.

        Args:
            status: What the gateway's `/understudy/status` says.
            percent: The model's share of the users; at 100 the service is not expected to answer.
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
        is_asked = percent < _ALL
        if is_asked and self._why_unwell and self._now() - self._well >= _QUIET:
            return (
                f"the service has answered no request well since {stamp(self._well)}, so no step "
                f"can be taken; the latest: {self._why_unwell}"
            )
        return ""
