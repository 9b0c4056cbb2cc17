from pathlib import Path

import jinja2
import pydantic
import pytest

import judging.templates
from components.synth_data_gen import templates
from components.synth_data_gen.prompt_settings import SynthPrompts
from components.synth_data_gen.settings import SynthSettings


@pytest.mark.parametrize("name", sorted(set(templates.VERSIONS) - {templates.RUBRIC}))
def test_a_text_without_a_value_for_each_of_its_variables_is_not_rendered(name):
    with pytest.raises(jinja2.UndefinedError):
        templates.render(name, SynthSettings())


def test_every_version_is_a_file_of_its_own():
    folder = Path(templates.__file__).with_name("prompts")
    current = {f"{name}.{version}.jinja" for name, version in templates.VERSIONS.items()}
    assert current <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", [templates.ANSWER, templates.ANSWER_CONVERSATION])
def test_the_evaluator_asks_for_answers_by_the_same_text(name):
    version = (templates.VERSIONS | templates.CONVERSATION_VERSIONS)[name]
    assert judging.templates.VERSIONS[name] == version
    folders = [Path(room.__file__).with_name("prompts") for room in (templates, judging.templates)]
    texts = {(folder / f"{name}.{version}.jinja").read_text() for folder in folders}
    assert len(texts) == 1


def test_a_rubric_of_ones_own_is_a_version_of_its_own():
    assert templates.versions(SynthSettings()) == templates.VERSIONS
    mine, yours = (
        templates.versions(SynthSettings(quality_rubric=text)) for text in ("5: good", "5: best")
    )
    assert mine["rubric"].startswith("sha256:")
    assert mine["rubric"] != yours["rubric"]
    assert mine["score"] == templates.VERSIONS["score"]


@pytest.mark.parametrize("name", sorted(SynthPrompts.model_fields))
def test_each_text_may_be_a_file_of_ones_own(name, tmp_path):
    variables = ["task", "examples", "plan", "message", "prompt", "output"]
    used = [v for v in variables if f"'{v}'" in _reads(name)]
    path = tmp_path / "mine.jinja"
    path.write_text("Mine.\n" + "".join(f"{{{{ {v} }}}}\n" for v in used), encoding="utf-8")
    settings = SynthSettings(prompts={name: str(path)})
    assert templates.render(name, settings, **dict.fromkeys(used, "x")).startswith(
        "Mine.\nx" if used else "Mine."
    )
    turns = name in templates.CONVERSATION_VERSIONS
    assert templates.versions(settings, conversations=turns)[name].startswith("sha256:")
    again = SynthSettings.model_validate_json(settings.model_dump_json())
    assert again == settings, "a component gets the text, wherever the file is"


@pytest.mark.parametrize("name", sorted(SynthPrompts.model_fields))
def test_the_shipped_text_may_be_the_beginning_of_ones_own(name, tmp_path):
    version = (templates.VERSIONS | templates.CONVERSATION_VERSIONS)[name]
    shipped = Path(templates.__file__).with_name("prompts") / f"{name}.{version}.jinja"
    path = tmp_path / "mine.jinja"
    path.write_text(f"{shipped.read_text(encoding='utf-8')}\nMine.", encoding="utf-8")
    assert SynthSettings(prompts={name: str(path)}).prompts.text(name).endswith("Mine.\n")


def _reads(name):
    """The variables that a text may use, as the error about an unknown one lists them."""
    with pytest.raises(pydantic.ValidationError) as refused:
        SynthSettings(prompts={name: "{{ nonsense }}"})
    listed = str(refused.value).split("it may use ")[1].split(" [")[0]
    return {f"'{variable}'" for variable in listed.split(", ")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("no-such-file.jinja", "cannot be read", id="no file"),
        pytest.param("{{ task }} {{ oops", "not a valid Jinja template", id="syntax"),
        pytest.param("{{ task }}\n{{ mesage }}", "uses mesage; it may use", id="unknown variable"),
        pytest.param("{{ task }}\nGo.", "does not use message", id="no message"),
    ],
)
def test_a_text_that_cannot_work_is_refused_before_a_run(text, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        SynthSettings(prompts={"answer": text})


def test_template_code_inside_a_value_is_text():
    rendered = templates.render(
        templates.ANSWER, SynthSettings(), task="{{ 7 * 7 }}", examples="{% raw %}", message="<b>&"
    )
    assert "{{ 7 * 7 }}" in rendered
    assert "{% raw %}" in rendered
    assert "<b>&" in rendered
