"""The file `attributes.yaml`: the values that plans draw from, for people to read and to edit."""

import yaml

from components.synth_data_gen.schemas import AttributeSets
from core.errors import damaged
from core.yaml_text import read_yaml

_KEY = "attributes"  # as in a preset, so that the file can be pasted there


def write_attributes(attributes: AttributeSets) -> str:
    """Return the file's text."""
    values = {_KEY: attributes.model_dump()}
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
    if read_yaml(text) == values:
        return text
    return yaml.safe_dump(values, sort_keys=False)  # PyYAML leaves line breaks of Unicode bare


def read_attributes(text: str, source: str) -> AttributeSets:
    """Read the values in a file that `write_attributes` made.

    Args:
        text: What the file holds.
        source: Where it lies, for messages.

    Raises:
        UserError: It holds something else.
    """
    try:
        values = read_yaml(text)
        if not isinstance(values, dict) or _KEY not in values:
            raise ValueError(f"it has no {_KEY!r}")
        return AttributeSets.model_validate(values[_KEY])
    except ValueError as error:
        raise damaged(source, error) from error
