"""Reads YAML that people write; refuses what would hang, explode or crash the reader."""

import yaml

_MAX_VALUES = 100_000  # with every alias counted as often as it is used
_MAX_NUMBER = 1000  # characters: `1:1:1` in base 60 takes the square of its length in time
# Of PyYAML, for `!!bool x`, `!!int ""` and their like.
_TAG_ERRORS = (LookupError, AttributeError, TypeError)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

Yaml = dict[str, "Yaml"] | list["Yaml"] | str | int | float | bool | None


def read_yaml(text: str) -> Yaml:
    """Read one YAML document.

    Raises:
        ValueError: It is not valid YAML, its aliases expand to more than 100,000 values, it is
            nested too deeply, or a number in it has more than 1,000 characters.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MAX_VALUES:
            raise ValueError(f"its aliases expand to more than {_MAX_VALUES:,} values")
        value: Yaml = loader.construct_document(node)
        return value
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except _TAG_ERRORS as error:
        raise ValueError(f"a tag does not fit its value ({error})") from error


def _size(node: yaml.Node, seen: dict[int, int]) -> int:
    """Count the values below a node, an alias as often as it is used."""
    if (known := seen.get(id(node))) is not None:
        return known
    seen[id(node)] = _MAX_VALUES + 1  # what an alias to one of its own parents counts
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(child, seen) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(key, seen) + _size(value, seen) for key, value in node.value)
    elif node.tag in _NUMBERS and len(node.value) > _MAX_NUMBER:
        raise ValueError(f"a number in it has more than {_MAX_NUMBER:,} characters")
    seen[id(node)] = size
    return size
