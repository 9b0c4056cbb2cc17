import pydantic
import pytest

from judging.settings import EvaluatorSettings


def test_settings_survive_the_way_through_a_json_string():
    settings = EvaluatorSettings(votes=3, temperature=0.5, gate={"split": "overall"})
    assert EvaluatorSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"votes": 3}, "not independent", id="many votes at temperature 0"),
        pytest.param({"gate": {"split": "train"}}, "gate.split", id="unknown split"),
        pytest.param(
            {"gate": {"relative_to_service": True}, "baselines": ["base"]},
            "add 'service' to baselines",
            id="relative to a service that is not measured",
        ),
        pytest.param({"vote": 1}, "vote", id="unknown key"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(values, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        EvaluatorSettings(**values)


def test_the_former_name_of_the_threshold_still_works_and_says_its_new_one():
    former = {"precision_threshold": 3.5}
    with pytest.warns(
        FutureWarning, match=r"evaluator\.correctness_threshold now\. It still works"
    ):
        assert EvaluatorSettings.model_validate(former).correctness_threshold == 3.5
    with pytest.warns(FutureWarning):
        both = EvaluatorSettings.model_validate(former | {"correctness_threshold": 3.0})
    assert both.correctness_threshold == 3.0
