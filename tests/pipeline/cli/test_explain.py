"""Every setting is explained, from the docstring of its own field."""

import json

import pytest

from pipeline.cli.explain import explain, settings, settings_page
from pipeline.cli.main import main
from pipeline.config import load_config

EXPLAINED = {setting.path: setting for setting in settings()}


def _paths(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_no_setting_of_the_demo_is_missing():
    demo = load_config("offline", environ={}).model_dump(mode="json")
    assert set(_paths(demo)) <= set(EXPLAINED)


def test_every_setting_is_documented():
    assert [path for path, setting in EXPLAINED.items() if not setting.text] == []


@pytest.mark.parametrize(
    ("path", "values", "default"),
    [
        ("rounds.max_rounds", "integer, >= 1, <= 50", "5"),
        ("rounds.warm_start", '"scratch", "best"', '"scratch"'),
        ("service_llm.budget_usd", "number, > 0 or null", "null"),
        ("task.name", "string, at most 40 characters, matches ^[a-z][a-z0-9_]*$", ""),
        ("vertex.labels", "object", "{}"),
    ],
)
def test_bounds_and_defaults(path, values, default):
    assert (EXPLAINED[path].values, EXPLAINED[path].default) == (values, default)


def test_settings_that_two_sections_share_are_explained_once():
    assert EXPLAINED["judge"].text.endswith("Takes the settings of `service_llm`.")
    assert "judge.model" not in EXPLAINED


def test_the_terminal_and_the_page_tell_the_same(capsys):
    assert main(["config", "--explain"]) == 0
    printed = capsys.readouterr().out
    assert printed == explain() + "\n"
    assert max(map(len, printed.splitlines())) <= 80
    page = settings_page()
    for path in EXPLAINED:
        assert f"{path}  (" in printed
        assert f"`{path}`" in page


def test_the_default_of_a_section_is_what_a_preset_gets():
    rounds = load_config("offline", environ={}).rounds
    defaults = {p: s.default for p, s in EXPLAINED.items() if p == "rounds.patience"}
    assert json.loads(defaults["rounds.patience"]) == rounds.patience
