"""The part of the service LLM's client that generation uses, and how its replies are gathered."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol

from components.service_llm.types import Request, Result

_PROGRESS = logging.getLogger("understudy.progress")


class Service(Protocol):
    """What sends requests; the client is one, and tests may bring another."""

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Sends requests; results come in the order in which they are completed."""
        ...


def gather(
    service: Service, requests: Iterable[Request], *, total: int, what: str
) -> dict[str, list[Result]]:
    """Sends requests and puts the replies back into order.

    Args:
        service: What sends them.
        requests: Taken one by one, as there is room for them.
        total: Number of requests, for the progress display.
        what: Their name in the progress display.

    Returns:
        The results by the requests' tag, each list in the order of the requests' index.
    """
    results: defaultdict[str, list[Result]] = defaultdict(list)
    for done, result in enumerate(service.map(requests), start=1):
        results[result.request.tag].append(result)
        numbers = {"done": done, "total": total, "unit": "requests"}
        _PROGRESS.info(what, extra={"progress": numbers})
    return {
        tag: sorted(replies, key=lambda result: result.request.index)
        for tag, replies in results.items()
    }
