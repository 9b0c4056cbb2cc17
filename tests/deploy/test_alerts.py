"""The alert rules for Prometheus select metrics and labels that a running gateway has."""

import re
from pathlib import Path

import pytest
import yaml

from serving.gateway.metrics import Metrics
from tests.serving.gateway.exposed import families, meet_everything
from tests.serving.gateway.harness import harness

SERVE = Path(__file__).parents[2] / "deploy" / "serve"
# Functions and words of PromQL in the rules, and labels, which are no metrics.
PROMQL = {"histogram_quantile", "humanizePercentage", "increase", "max", "rate", "sum", "by"}


def _rules():
    (group,) = yaml.safe_load((SERVE / "alerts.yaml").read_text())["groups"]
    return group["rules"]


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_an_alert_reads_metrics_and_labels_that_the_gateway_has(rule):
    metrics = {}
    for family in Metrics().registry.collect():
        names = [f"{family.name}{suffix}" for suffix in ("", "_total", "_bucket")]
        collector = Metrics().registry._names_to_collectors[family.name]
        metrics |= {name: {*collector._labelnames, "le"} for name in names}
    expression = rule["expr"]
    used = re.findall(r"(understudy_\w+)(?:\{([^}]*)\})?", expression)
    assert used, expression
    for name, selector in used:
        assert name in metrics, name
        labels = re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\"", selector)
        assert set(labels) <= metrics[name], (name, labels)
    known = set().union(*(metrics[name] for name, _ in used))
    for by in re.findall(r"by \(([^)]*)\)", expression):
        assert set(by.replace(" ", "").split(",")) <= known, by
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= known
    words = re.sub(r"\{[^}]*\}|\[[^]]*\]|\([a-z_, ]*\)", " ", expression)
    functions = set(re.findall(r"[a-z_]+(?=\s*\()", words))
    assert functions <= PROMQL | {"by"}, functions
    assert expression.count("(") == expression.count(")")


@pytest.fixture(scope="module")
def scraped():
    """What Prometheus finds at a gateway to which everything happened, its alarms included."""
    with harness() as servers:
        meet_everything(servers, healthy=75, edited=25)
        yield {
            sample.name: [other.labels for other in family.samples if other.name == sample.name]
            for family in families(servers)
            for sample in family.samples
        }


_SELECTOR = re.compile(r"(understudy_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


def _selects(matchers, labels):
    """Whether a selector takes a sample: regular expressions are anchored, as in Prometheus."""
    tests = {
        "=": lambda value, wanted: value == wanted,
        "!=": lambda value, wanted: value != wanted,
        "=~": lambda value, wanted: bool(re.fullmatch(wanted, value)),
        "!~": lambda value, wanted: not re.fullmatch(wanted, value),
    }
    return all(tests[how](labels.get(name, ""), wanted) for name, how, wanted in matchers)


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_an_alert_selects_what_a_running_gateway_shows(scraped, rule):
    for name, selector in _SELECTOR.findall(rule["expr"]):
        matchers = _MATCHER.findall(selector or "")
        assert len(matchers) == (selector or "").count('"') / 2, selector
        taken = [labels for labels in scraped[name] if _selects(matchers, labels)]
        assert taken, f"{name}{{{selector}}} takes none of {scraped[name]}"


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_only_fields_durations_and_templates_of_prometheus(rule):
    """https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/"""
    assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
    assert rule.keys() <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    duration = r"\d+[smhd]"
    assert re.fullmatch(duration, rule.get("for", "0s"))
    ranges = re.findall(r"\[([^]]*)\]", rule["expr"])
    assert all(re.fullmatch(duration, each) for each in ranges), ranges
    for text in rule["annotations"].values():
        for template in re.findall(r"\{\{(.*?)\}\}", text):
            value = r" \$(value|labels\.\w+)( \| humanize\w+)? "
            assert re.fullmatch(value, template), template


def test_the_rules_are_one_file_of_prometheus_and_no_alert_is_named_twice():
    (file,) = yaml.safe_load_all((SERVE / "alerts.yaml").read_text())
    assert file.keys() == {"groups"}
    assert all(group.keys() == {"name", "rules"} for group in file["groups"])
    names = [rule["alert"] for rule in _rules()]
    assert len(set(names)) == len(names)


def test_every_metric_of_a_fault_has_an_alert():
    text = " ".join(rule["expr"] for rule in _rules())
    for name in ("breaker_open", "alarm", "capture_dropped_total"):
        assert f"understudy_{name}" in text


def test_the_alert_of_an_edited_instruction_follows_the_gateways_alarm():
    """Of three tasks each has a third of the requests, so a fixed share would always alert."""
    [rule] = [rule for rule in _rules() if rule["alert"] == "UnderstudyInstructionChanged"]
    assert 'understudy_alarm{name=~"match_share:.+"}' in rule["expr"]
    assert "understudy_match_share" not in rule["expr"]
