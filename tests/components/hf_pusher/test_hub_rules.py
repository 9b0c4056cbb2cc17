"""What the Hub would refuse is refused when the preset is read."""

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.hf_pusher.hub_rules import check_license, check_repository_id
from components.hf_pusher.settings import PushSettings
from core.families import FAMILIES
from task.task import Task

_PIECES = st.sampled_from(["a", "B", "0", "-", "_", ".", "..", "--", ".git", "/", " ", "a" * 47])


@given(st.lists(_PIECES, min_size=1, max_size=6).map("".join))
def test_names_are_refused_as_the_hubs_client_refuses_them(name):
    try:
        validate_repo_id(name)
    except HFValidationError:
        with pytest.raises(ValueError, match=r"Hub|repository"):
            check_repository_id(name)
    else:
        assert check_repository_id(name) == name


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "a--b", "the Hub refuses this name"),
        ("name", "abc.git", "the Hub refuses this name"),
        ("name", "-a", "the Hub refuses this name"),
        ("owner", "a/b", "the Hub refuses this name"),
        ("languages", ["English"], "'English'; give an ISO 639 code"),
        ("languages", ["en", "EN"], "'EN'; give an ISO 639 code"),
        ("license", "MIT", "did you mean 'mit'"),
        ("license", "Apache 2.0", "did you mean 'apache-2.0'"),
        ("base_model", "google/gemma/3", "'owner/name'"),
        ("base_model", "google/gemma--3", "the Hub refuses this name"),
    ],
)
def test_settings_that_would_fail_at_the_push_are_refused(field, value, says):
    with pytest.raises(ValidationError, match=says):
        PushSettings.model_validate({field: value})


@pytest.mark.parametrize("task_name", ["a__b", "a_", "support_triage", "a___", "x"])
def test_a_name_made_from_the_task_is_one_that_the_hub_takes(task_name):
    task = Task(name=task_name, instruction="Sort the message.")
    for prefix in ("", "Llama-3-"):
        name = PushSettings().repository_name(task.name, prefix)
        validate_repo_id(name)


def test_the_licenses_of_all_families_are_the_hubs():
    identifiers = {text.id for family in FAMILIES for text in family.licenses.values()}
    assert len(identifiers) > 3
    assert {check_license(identifier) for identifier in identifiers} == identifiers
