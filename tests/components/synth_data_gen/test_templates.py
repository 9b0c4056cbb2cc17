from pathlib import Path

import jinja2
import pytest

from components.synth_data_gen import templates


@pytest.mark.parametrize("name", sorted(set(templates.VERSIONS) - {templates.RUBRIC}))
def test_a_text_without_a_value_for_each_of_its_variables_is_not_rendered(name):
    with pytest.raises(jinja2.UndefinedError):
        templates.render(name)


def test_every_version_is_a_file_of_its_own():
    folder = Path(templates.__file__).with_name("prompts")
    current = {f"{name}.{version}.jinja" for name, version in templates.VERSIONS.items()}
    assert current <= {path.name for path in folder.iterdir()}


def test_a_rubric_of_ones_own_is_a_version_of_its_own():
    assert templates.versions("") == templates.VERSIONS
    mine, yours = templates.versions("5: good"), templates.versions("5: very good")
    assert mine["rubric"].startswith("sha256:")
    assert mine["rubric"] != yours["rubric"]
    assert mine["score"] == templates.VERSIONS["score"]


def test_template_code_inside_a_value_is_text():
    rendered = templates.render(
        templates.ANSWER, task="{{ 7 * 7 }}", examples="{% raw %}", message="<b>&"
    )
    assert "{{ 7 * 7 }}" in rendered
    assert "{% raw %}" in rendered
    assert "<b>&" in rendered
