"""Who answers a request first in a mode, and the share of a canary."""

import hashlib
from typing import Literal, NamedTuple

from serving.gateway.kept_mode import ModeState

_BUCKETS = 10_000  # a canary's share is held to a hundredth of a percent

CANARY, MODEL, UNSURE, PRIVATE = "canary", "mode:model", "unsure", "private"


class Plan(NamedTuple):
    """Who answers a request.

    Attributes:
        first: Who is asked first.
        reason: Why the tuned model answers, where it is asked first.
        is_alone: Whether nobody else may answer where the first one cannot.
        must_be_sure: Whether an answer of low confidence is the service's to give.
    """

    first: Literal["service", "model"]
    reason: str = ""
    is_alone: bool = False
    must_be_sure: bool = False


def plan(state: ModeState, session: str, *, has_failover: bool) -> Plan:
    """Return who answers a request of a task.

    Args:
        state: The mode.
        session: Stands for the user or the conversation; the same one has the same canary.
        has_failover: Whether the service answers in the mode `model` where the model cannot.
    """
    if state.mode == "model":
        return Plan("model", MODEL, is_alone=not has_failover)
    if state.mode == "cascade":
        return Plan("model", "confident", must_be_sure=True)
    if state.mode == "canary" and in_canary(session, state.canary_percent):
        return Plan("model", CANARY)
    return Plan("service")


def in_canary(session: str, percent: float) -> bool:
    """Whether a session is one of a canary's: the same at every request, and at higher percentages.

    Args:
        session: Stands for the user or the conversation.
        percent: Of all sessions, 0 to 100.
    """
    digest = hashlib.blake2b(session.encode(), digest_size=8, person=b"canary").digest()
    return int.from_bytes(digest) % _BUCKETS < percent * _BUCKETS / 100
