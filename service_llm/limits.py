"""How many tokens a request to a model may ask for, from a table with its sources."""

import datetime
import functools
import re
from pathlib import Path

import pydantic
import yaml

_FILE = Path(__file__).with_name("limits.yaml")


class ModelLimits(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A line of the table.

    Attributes:
        model: The model's name; with an asterisk at its end, what it begins with.
        max_output_tokens: Maximum tokens of a reply, thinking included.
        context_tokens: Maximum tokens of prompt and reply together; None where unknown.
    """

    model: str = pydantic.Field(min_length=1)
    max_output_tokens: int = pydantic.Field(ge=1)
    context_tokens: int | None = pydantic.Field(None, ge=1)

    def holds(self, name: str) -> bool:
        """Whether it is the line of a model."""
        prefix = re.escape(self.model.removesuffix("*"))
        return re.fullmatch(prefix + (".*" if self.model.endswith("*") else ""), name) is not None


class LimitsSource(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Lines of one source, and when it was read."""

    source: str = pydantic.Field(min_length=1)
    date: datetime.date
    models: tuple[ModelLimits, ...]


# Of a model that the table does not know: enough for a reply, little enough for a server that
# reserves the room. A service that takes less says so, and is asked for less from then on.
_UNKNOWN = ModelLimits(model="*", max_output_tokens=16_384)


@functools.cache
def limits_table() -> tuple[LimitsSource, ...]:
    """Read `limits.yaml`."""
    values = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return pydantic.TypeAdapter(tuple[LimitsSource, ...]).validate_python(values)


@functools.cache
def limits_of(model: str) -> ModelLimits:
    """Return the limits of a model, whose name's last part counts; a default for an unknown one."""
    name = model.rsplit("/", 1)[-1]
    lines = (line for source in limits_table() for line in source.models)
    return next((line for line in lines if line.holds(name)), _UNKNOWN)
