"""The names of commands, options and settings that scripts and presets rely on, spelled out."""

import shlex
from pathlib import Path

import pytest

from pipeline.cli.parser import make_parser
from serving.settings import ServingSettings

SETTINGS = {
    "service": None,
    "model.url": None,
    "key_env": None,
    "match": "system",
    "template": None,
    "accepted_instructions": (),
    "hold_kib": 8,
    "refusals": "service",
    "first_byte_seconds": "auto",
    "between_bytes_seconds": 30,
    "alert_url": None,
    "host": "127.0.0.1",
    "port": 8100,
    "mode": "failover",
    "sticky_header": None,
    "confidence.enabled": False,
    "confidence.threshold": None,
    "capture.enabled": False,
    "capture.retention_days": 30,
    "margin_points": 3,
    "watch.budget_usd": 5,
}
COMMANDS = {
    "serve --preset P --preset Q --port 8100": {"presets": ["P", "Q"], "port": 8100},
    "serve --explain FILE": {"explain": Path("FILE")},
    "serve reload --round 2": {"action": "reload", "round": 2},
    "serve reload": {"action": "reload", "round": None},
    "serve mode shadow": {"action": "mode", "mode": "shadow"},
    "drill --preset P --rate 5 --peak 20": {"preset": "P", "rate": 5, "peak": 20},
    "verdict --preset P": {"preset": "P"},
    "cutover --to 100 --steps 1,5,25,100": {"to": 100, "steps": "1,5,25,100"},
    "watch --preset P": {"preset": "P"},
    "label --preset P": {"preset": "P"},
    "init name --pairs FOLDER --sample 200 --train-on-rest": {"sample": 200, "train_on_rest": True},
}


@pytest.mark.parametrize(("command", "wanted"), COMMANDS.items(), ids=COMMANDS)
def test_a_command_is_written_like_this(command, wanted):
    options = vars(make_parser().parse_args(shlex.split(command)))
    assert {name: options[name] for name in wanted} == wanted


@pytest.mark.parametrize(("name", "default"), SETTINGS.items(), ids=SETTINGS)
def test_a_setting_has_this_name_and_this_default(name, default):
    value = ServingSettings()
    for part in name.split("."):
        value = getattr(value, part)
    assert value == default


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mode", ["failover", "shadow", "canary", "cascade", "private", "model"]),
        ("match", ["system", "model", "any"]),
        ("refusals", ["service", "model"]),
        ("first_byte_seconds", ["auto", 5]),
        ("capture", [True, False]),
    ],
)
def test_a_setting_takes_these_values(name, values):
    for value in values:
        assert ServingSettings.model_validate({name: value})
    with pytest.raises(ValueError, match=name):
        ServingSettings.model_validate({name: "something else"})
