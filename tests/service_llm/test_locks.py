"""The locks hold current clients of the services, and the packages that users look for."""

import pathlib
import tomllib

import pytest

from tools.supply_chain import locks, read_lock

ROOT = pathlib.Path(__file__).parents[2]
OLDER_ON_PURPOSE = {"google-genai-2"}  # the gateway is tried with it, too
STACKS = ("tfx-1.16", "tfx-1.21")


def versions(stem):
    (lock,) = (lock for lock in locks() if lock.stem == stem)
    return {package.name: package.version for package in read_lock(lock.read_text("utf-8"))}


def major(version):
    return int(version.partition(".")[0])


@pytest.mark.parametrize("stem", [lock.stem for lock in locks()])
def test_every_lock_with_google_genai_has_release_3_or_later(stem):
    held = versions(stem).get("google-genai")
    assert held is None or stem in OLDER_ON_PURPOSE or major(held) >= 3


@pytest.mark.parametrize("stem", [*STACKS, "serve", "gateway"])
def test_what_talks_to_services_is_locked(stem):
    held = versions(stem)
    assert major(held["google-genai"]) >= 3
    assert "openai" in held


@pytest.mark.parametrize("stack", STACKS)
def test_keras_nlp_is_locked_on_both_stacks_as_the_layer_over_its_keras_hub(stack):
    held = versions(stack)
    assert held["keras-nlp"] == held["keras-hub"]


def test_keras_nlp_is_named_among_the_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "keras-nlp" in project["optional-dependencies"]["pipeline"]
