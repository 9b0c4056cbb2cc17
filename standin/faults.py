"""Everything that goes wrong with real services, on request and repeatable.

Whether a request fails depends on its content and on how often it was sent, not on time or on other
requests, so a failed request can succeed when it is sent again and a run can be repeated.
"""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from standin import protocol
from standin.errors import HttpError
from standin.protocol import Told

FAULTS = (
    "unavailable",
    "internal",
    "quota",
    "shared_quota",
    "malformed",
    "truncated",
    "safety",
    "disconnect",
)

_RANDOM_QUOTA_SECONDS = 1.0  # asked to wait after a `quota` fault

Malform = Callable[[str, random.Random], str]


class DisconnectedError(Exception):
    """The connection is to be closed without an answer."""


class FaultDice:
    """Draws faults.

    Args:
        rates: Share of the requests, 0 to 1, by the fault's name.

    Raises:
        ValueError: A name is unknown, or the shares are no probabilities.
    """

    def __init__(self, rates: Mapping[str, float] | None = None) -> None:
        self._rates = dict(rates or {})
        unknown = sorted(set(self._rates) - set(FAULTS))
        if unknown:
            raise ValueError(f"unknown fault {unknown[0]!r}; known are {', '.join(FAULTS)}")
        if min(self._rates.values(), default=0) < 0 or sum(self._rates.values()) > 1 + 1e-9:
            raise ValueError(f"fault rates must be at least 0 and add up to at most 1: {rates}")
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, digest: str) -> tuple[str | None, random.Random]:
        """Return the fault of this attempt at a request, if any, and the dice to shape it with.

        Args:
            digest: Tells requests apart.
        """
        if not self._rates:
            return None, random.Random(digest)
        with self._lock:
            self._attempts[digest] += 1
            attempt = self._attempts[digest]
        rng = random.Random(f"{digest}/{attempt}")
        drawn = rng.random()
        for name, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                return name, rng
        return None, rng


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(1, max(2, len(text) - 1))]


def _other_types(text: str, rng: random.Random) -> str:
    swap = {int: lambda v: f"about {v}", str: lambda v: [v], list: lambda v: {"items": v}}
    fields = json.loads(text)
    return json.dumps({k: swap.get(type(v), str)(v) for k, v in fields.items()})  # type: ignore[no-untyped-call]


def _without_a_field(text: str, rng: random.Random) -> str:
    fields = json.loads(text)
    fields.pop(rng.choice(list(fields)))
    return json.dumps(fields)


def _quotes_inside(text: str, rng: random.Random) -> str:
    """Return a quotation mark inside a string is not escaped."""
    return re.sub(r'"([^"]+)"', r'"\1" or so"', text, count=1)


MALFORMED: Mapping[str, Malform] = {
    "cut": _cut,
    "empty": lambda text, rng: "",
    "prose before": lambda text, rng: f"Sure! Here is what you asked for:\n{text[:-1]}",
    "prose only": lambda text, rng: "I am sorry, but I cannot put this into the format asked for.",
    "fenced and cut": lambda text, rng: f"```json\n{text[:-2]}",
    "trailing comma": lambda text, rng: f"{text[:-1]},}}",
    "single quotes": lambda text, rng: repr(json.loads(text)).replace('"', "'"),
    "wrong types": _other_types,
    "missing field": _without_a_field,
    "wrong nesting": lambda text, rng: json.dumps({"response": json.loads(text)}),
    "array": lambda text, rng: json.dumps([json.loads(text)]),
    "not a number": lambda text, rng: json.dumps(dict.fromkeys(json.loads(text), float("nan"))),
    "extra brackets": lambda text, rng: f"{text}}}}}",
    "unescaped quotes": _quotes_inside,
    "null": lambda text, rng: "null",
}


def malformed(text: str, rng: random.Random) -> str:
    """Return a reply that breaks its format in one of many ways.

    Args:
        text: The right reply, a JSON object.
        rng: Decides on the way.
    """
    return MALFORMED[rng.choice(list(MALFORMED))](text, rng)


def quota_error(wait_seconds: float) -> HttpError:
    """Return the answer to a request beyond the quota."""
    return HttpError(
        429,
        "RESOURCE_EXHAUSTED",
        f"You exceeded your quota for this model. Please retry in {wait_seconds:.3f}s.",
        retry_seconds=wait_seconds,
        reason="rate_limit_exceeded",
    )


def struck(fault: str, told: Told, rng: random.Random) -> Told:
    """Return the reply as a fault leaves it.

    Raises:
        HttpError: The fault is an error.
        DisconnectedError: The fault is a closed connection.
    """
    if fault == "unavailable":
        raise HttpError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
    if fault == "internal":
        raise HttpError(500, "INTERNAL", "An internal error has occurred.")
    if fault == "quota":
        raise quota_error(_RANDOM_QUOTA_SECONDS)
    if fault == "shared_quota":  # https://github.com/google-gemini/gemini-cli/issues/14811
        raise HttpError(
            429,
            "RESOURCE_EXHAUSTED",
            "Resource exhausted. Please try again later. Please refer to "
            "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more "
            "details.",
        )
    if fault == "disconnect":
        raise DisconnectedError
    if fault == "safety":
        return told._replace(text="", finish="SAFETY", output_tokens=0)
    if fault == "truncated":
        text, finish = told.text[: rng.randrange(1, len(told.text))], "MAX_TOKENS"
    else:
        text, finish = malformed(told.text, rng), told.finish
    return told._replace(text=text, finish=finish, output_tokens=protocol.count_tokens(text))
