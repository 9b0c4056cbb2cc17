"""The settings of modes: who answers while the service is well."""

from typing import Literal

import pydantic
from pydantic import Field

Mode = Literal["failover", "shadow", "canary", "cascade", "private", "model"]
MODES: tuple[Mode, ...] = ("failover", "shadow", "canary", "cascade", "private", "model")


class ShadowSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """How requests are copied to the tuned model in the mode `shadow`."""

    percent: float = Field(100.0, gt=0, le=100)
    """Percentage of the task's requests that are copied."""

    queue_length: int = Field(64, ge=1, le=100_000)
    """Copies that may wait for the tuned model; further ones are dropped and counted."""


class ConfidenceSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """How sure the tuned model has to be of an answer: its mean log-probability per token.

    `understudy confidence` measures it on the holdout through the server that will answer, and
    chooses the threshold.
    """

    enabled: bool = False
    """Ask the tuned model's server for log-probabilities, and mark unsure answers."""

    right_percent: float = Field(95.0, gt=0, lt=100)
    """Minimum percentage of right answers among those above the threshold."""

    threshold: float | None = Field(None, le=0)
    """Mean log-probability from which an answer counts as confident; None takes the one that was
    chosen on the holdout."""


class CutoverSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """What a step of `understudy cutover` has to show before the next one."""

    min_requests: int = Field(100, ge=1)
    """Minimum requests that the tuned model answers at each step."""

    min_pairs: int = Field(100, ge=1)
    """Minimum pairs of answers at each step below 100 %, from requests that the service answers."""

    max_error_percent: float = Field(1.0, ge=0, lt=100)
    """Maximum percentage of its requests that the tuned model may fail to answer."""

    max_latency_ratio: float = Field(2.0, gt=0)
    """Maximum ratio of the tuned model's latency to the service's, at the 95th percentile; a step
    goes back if it is significantly higher."""


class WatchSettings(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """How `understudy watch` looks at the service and the tuned model."""

    every_hours: float = Field(24.0, gt=0)
    """Hours between two looks."""

    prompts: int = Field(40, ge=1)
    """Holdout prompts asked at each look: the same ones every time."""

    budget_usd: float = Field(5.0, gt=0)
    """Maximum cost of the checks of the last 30 days, in US dollars, answers and judge together;
    `understudy watch` ends before a look that would exceed it, by what those before have cost. What
    the first look costs is not known before."""
