import pytest
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import Channel
from tfx.types.standard_artifacts import Examples

from components.synth_data_gen.component import SynthDataGen


def component(**changes):
    arguments = {
        "coverage": Channel(type=Examples),
        "service_llm": "{}",
        "settings": "{}",
        "task": "{}",
        "journal_uri": "/journal",
        "round": 1,
    }
    return SynthDataGen(**(arguments | changes))


def test_the_component_gives_synthetic_examples():
    assert component().outputs["synthetic"].type is Examples


def test_history_and_report_may_be_left_out():
    properties = component().exec_properties
    assert properties["history_uri"] == properties["report_uri"] == ""


@pytest.mark.parametrize(
    ("name", "ptype"), [("round", int), ("history_uri", str), ("report_uri", str)]
)
def test_what_changes_from_round_to_round_may_be_a_runtime_parameter(name, ptype):
    parameter = RuntimeParameter(name=name, ptype=ptype)
    assert component(**{name: parameter}).exec_properties[name] is parameter
