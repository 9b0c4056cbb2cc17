"""What the service LLM is told about the task that is taken over."""

import re
import textwrap
from pathlib import Path
from typing import Annotated, Any

import pydantic

from core.yaml_text import read_yaml

_MAX_SUMMARY = 200  # characters


def read_schema(value: Any) -> Any:
    """Read the file where a path is given, and check that it is a JSON Schema.

    It is read when the configuration is, so a machine elsewhere receives the schema itself.

    Raises:
        ValueError: The file cannot be read, or is no JSON Schema.
    """
    if isinstance(value, str):
        try:
            # JSON is YAML, too.
            value = read_yaml(Path(value).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"the JSON Schema cannot be read ({error}); give the path of a JSON or YAML file, "
                "or the schema itself"
            ) from error
    if isinstance(value, dict):
        import jsonschema  # takes seconds, with all its formats installed

        try:
            jsonschema.Draft202012Validator.check_schema(value)
        except jsonschema.SchemaError as error:
            raise ValueError(f"this is not a JSON Schema: {error.message}") from error
    return value


class Task(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """The task as the service LLM sees it when it generates and judges."""

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)
    """Short name, for example `support_triage`; also names the Hub repositories."""

    instruction: str = pydantic.Field(min_length=1)
    """What a good answer is, in the words one would give a new colleague."""

    output_schema: Annotated[dict[str, Any] | None, pydantic.BeforeValidator(read_schema)] = None
    """JSON Schema of an output, or the path of a file with it; None infers the form from the
    seeds."""

    @property
    def title(self) -> str:
        """The name for people: `support_triage` becomes "Support triage"."""
        return self.name.replace("_", " ").capitalize()

    @property
    def summary(self) -> str:
        """The first sentence of the instruction, as far as it is short."""
        first = " ".join(self.instruction.split())
        if found := re.match(r".+?[.!?:](?=\s|$)", first):
            first = found.group()
        return textwrap.shorten(first.rstrip(":"), _MAX_SUMMARY, placeholder="…")

    def text(self) -> str:
        """Return the `task` block of a request: the name, then the instruction."""
        return f"{self.name}\n{self.instruction.strip()}"
