import jinja2
import pytest

from components.synth_data_gen import templates


@pytest.mark.parametrize("name", templates.VERSIONS)
def test_a_text_without_a_value_for_each_of_its_variables_is_not_rendered(name):
    with pytest.raises(jinja2.UndefinedError):
        templates.render(name)


def test_template_code_inside_a_value_is_text():
    rendered = templates.render(
        templates.ANSWER, task="{{ 7 * 7 }}", examples="{% raw %}", message="<b>&"
    )
    assert "{{ 7 * 7 }}" in rendered
    assert "{% raw %}" in rendered
    assert "<b>&" in rendered
