"""The settings of the comparison of the service LLM with a tuned model of one's own."""

import pydantic
from pydantic import Field


class OperationSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """What the report's section "Service or own" assumes about operation."""

    requests_per_day: int = Field(default=10_000, ge=1)
    """Requests a day that the service LLM answers now, and the tuned model would."""

    machine: str | None = None
    """Type of the machine that would answer, as Google Cloud names it. None: the one of `vertex`,
    or else e2-standard-4. It is taken to be as fast as the machine that ResponseGen ran on."""

    machine_usd_per_hour: float | None = Field(default=None, gt=0)
    """Price of that machine. None: its list price, where the table has one."""

    hours_per_day: float = Field(default=24.0, gt=0, le=24)
    """Hours a day for which the machine is paid, idle ones included."""

    retrain_every_days: float = Field(default=30.0, gt=0)
    """Days after which a run like this one is repeated: its replies and its machine hours are part
    of the tuned model's cost."""
