import pydantic
import pytest

from components.response_gen.settings import GenerationSettings


def test_generation_is_deterministic_unless_asked_otherwise():
    settings = GenerationSettings()
    assert (settings.temperature, settings.samples) == (0.0, 1)


def test_several_samples_of_the_likeliest_text_are_refused():
    with pytest.raises(pydantic.ValidationError, match="temperature above 0"):
        GenerationSettings(samples=4)


def test_settings_survive_the_way_through_a_json_string():
    settings = GenerationSettings(samples=2, temperature=0.7, max_output_tokens=256)
    assert GenerationSettings.model_validate_json(settings.model_dump_json()) == settings
