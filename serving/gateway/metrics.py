"""The metrics at `/understudy/metrics`."""

from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "understudy_requests_total",
            "Requests for an answer, by who answered and why.",
            ("task", "protocol", "served_by", "reason"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "understudy_request_seconds",
            "Seconds until an answer was complete.",
            ("served_by",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.breaker_open = Gauge(
            "understudy_breaker_open",
            "1 while the breaker of a backend is not closed.",
            ("backend",),
            registry=self.registry,
        )
        self.unmatched = Counter(
            "understudy_unmatched_total",
            "Requests for an answer that are of no task, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.match_share = Gauge(
            "understudy_match_share",
            "Share of the latest requests that are of a task, 0 to 1.",
            ("task",),
            registry=self.registry,
        )
        self.capture_dropped = Counter(
            "understudy_capture_dropped_total",
            "Captured exchanges that were dropped rather than slowing requests.",
            registry=self.registry,
        )
        self.shadow_dropped = Counter(
            "understudy_shadow_dropped_total",
            "Copies of requests that were dropped rather than slowing requests.",
            registry=self.registry,
        )
        self.alerts_dropped = Counter(
            "understudy_alerts_dropped_total",
            "Changes of alarms that serving.alert_url did not get.",
            registry=self.registry,
        )
        self.mode = Gauge(
            "understudy_mode",
            "1 for the mode of the gateway.",
            ("mode",),
            registry=self.registry,
        )
        self.canary_percent = Gauge(
            "understudy_canary_percent",
            "Percentage of users whose requests the tuned model answers; 0 in other modes.",
            registry=self.registry,
        )
        self.alarm = Gauge(
            "understudy_alarm",
            "1 while an alarm is raised.",
            ("name",),
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All metrics in the exposition format."""
        return prometheus_client.generate_latest(self.registry)
