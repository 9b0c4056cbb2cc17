"""The names of metrics and labels that dashboards rely on, spelled out."""

import re

import httpx
import pytest

from tests.serving.gateway.exposed import families, meet_everything
from tests.serving.gateway.harness import harness


@pytest.fixture(scope="module")
def gateway():
    with harness() as servers:
        meet_everything(servers)
        yield servers


@pytest.mark.parametrize(
    ("sample", "kind", "labels"),
    [
        ("understudy_requests_total", "counter", {"task", "protocol", "served_by", "reason"}),
        ("understudy_request_seconds_count", "histogram", {"served_by"}),
        ("understudy_request_seconds_sum", "histogram", {"served_by"}),
        ("understudy_request_seconds_bucket", "histogram", {"served_by", "le"}),
        ("understudy_breaker_open", "gauge", {"backend"}),
        ("understudy_unmatched_total", "counter", {"reason"}),
        ("understudy_match_share", "gauge", {"task"}),
        ("understudy_capture_dropped_total", "counter", set()),
    ],
)
def test_a_metric_has_its_name_kind_and_labels(gateway, sample, kind, labels):
    found = [
        (family.type, set(each.labels))
        for family in families(gateway)
        for each in family.samples
        if each.name == sample
    ]
    assert found
    assert all(each == (kind, labels) for each in found), found


def test_every_request_is_counted_once_by_who_answered_and_why(gateway):
    counted = {
        tuple(sample.labels[name] for name in ("task", "protocol", "served_by", "reason")): (
            sample.value
        )
        for family in families(gateway)
        for sample in family.samples
        if sample.name == "understudy_requests_total"
    }
    assert counted == {
        ("triage", "gemini", "service", "ok"): 1,
        ("triage", "openai", "service", "ok"): 1,
        ("none", "gemini", "service", "unmatched:system"): 1,
        ("triage", "gemini", "model", "F6"): 2,
        ("triage", "gemini", "model", "breaker:F6"): 1,
        ("triage", "gemini", "none", "breaker:F6"): 1,
    }


def test_the_address_of_the_metrics_is_the_one_that_is_scraped(gateway):
    reply = httpx.get(f"{gateway.url}/understudy/metrics")
    assert reply.status_code == 200
    assert re.match(r"text/plain; version=[\d.]+", reply.headers["content-type"])
