"""What a drill found; `drill.json` in the output folder."""

from typing import Literal

import pydantic

Protocol = Literal["gemini", "openai"]


class _Record(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    pass


class AnsweredBy(_Record):
    """Requests by who answered them."""

    service: int
    """By the service LLM."""

    model: int
    """By the tuned model."""


class Cell(_Record):
    """One fault as one client met it, with a model that was warm and with one just started."""

    fault: str
    """F1 to F14."""

    protocol: Protocol
    """What the client speaks."""

    stream: bool
    """Whether it asked for a stream."""

    requests: int
    """Requests that were sent, before, during and after the fault."""

    lost: int
    """Those without a whole answer."""

    half_answers: int
    """Those of the lost ones that had begun to answer."""

    seconds_to_switch: float | None
    """From the fault to the tuned model's first answer, at the worse of both times; None where it
    gave none."""

    seconds_to_return: float | None
    """From the end of the fault to the service's first answer; None where the service did not
    answer before, or the fault lay in its address, which a running gateway does not change."""


class Rate(_Record):
    """A coverage rate in percent, with its 95 % interval."""

    rate: float
    """Covered prompts."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""


class Coverage(_Record):
    """The answers through the gateway compared with the references, by a local scorer."""

    service: Rate | None
    """Without a fault; None where the service did not answer."""

    model: Rate
    """In the outage."""


class DrillReport(_Record):
    """A drill."""

    schema_version: Literal[1] = 1
    """Of this record."""

    requests: int
    """All requests."""

    answered_by: AnsweredBy
    """Whole answers."""

    lost: int
    """Requests without a whole answer; the goal is 0."""

    half_answers: int
    """Lost requests that had begun to answer; the goal is 0."""

    not_of_task: int
    """Requests that were not recognized as the task's."""

    cells: tuple[Cell, ...]
    """By fault, protocol and stream."""

    coverage: Coverage
    """How good the answers were."""

    sustained_requests_per_second: float
    """Answers of the tuned model when it is asked as fast as it answers."""

    peak_requests_per_second: float | None = None
    """What the task has at its peak, as `--peak` says."""
