import contextlib
from pathlib import Path

import pydantic
import pytest

from judging import templates
from judging.settings import EvaluatorPrompts, EvaluatorSettings


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


@pytest.mark.parametrize("lacks", ["task", "prompt", "answer_a", "answer_b"])
def test_a_judge_prompt_of_ones_own_has_to_show_all_that_is_judged(lacks, tmp_path):
    names = ("task", "prompt", "answer_a", "answer_b")
    file = tmp_path / "judge.jinja"
    file.write_text(" ".join(f"{{{{ {name} }}}}" for name in names))
    read = EvaluatorSettings(prompts={"judge": str(file)})
    assert read.prompts.text("judge").startswith("{{ task }} {{ prompt }}")
    file.write_text(" ".join(f"{{{{ {name} }}}}" for name in names if name != lacks))
    with pytest.raises(pydantic.ValidationError, match=lacks):
        EvaluatorSettings(prompts={"judge": str(file)})


@pytest.mark.parametrize(
    ("examples", "is_accepted"), [(1, True), (32, True), (33, False), (0, False)]
)
def test_a_baseline_is_shown_1_to_32_examples(examples, is_accepted):
    with contextlib.nullcontext() if is_accepted else pytest.raises(pydantic.ValidationError):
        assert EvaluatorSettings(baseline_examples=examples).baseline_examples == examples


@pytest.mark.parametrize("name", sorted(EvaluatorPrompts.model_fields))
def test_the_shipped_text_may_be_the_beginning_of_ones_own(name, tmp_path):
    folder = Path(templates.__file__).with_name("prompts")
    shipped = folder / f"{name}.{templates.VERSIONS[name]}.jinja"
    file = tmp_path / "mine.jinja"
    file.write_text(f"{shipped.read_text(encoding='utf-8')}\nMine.", encoding="utf-8")
    assert EvaluatorSettings(prompts={name: str(file)}).prompts.text(name).endswith("Mine.\n")
