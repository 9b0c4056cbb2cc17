"""Gathers the replies of the service LLM."""

from collections import defaultdict
from collections.abc import Iterable

from core.progress import progress
from service_llm.types import Request, Result, ServiceClient


def gather(
    service: ServiceClient, requests: Iterable[Request], *, total: int, what: str
) -> dict[str, list[Result]]:
    """Send requests and put the replies back into order.

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
        progress.info(what, extra={"progress": numbers})
    return {
        tag: sorted(replies, key=lambda result: result.request.index)
        for tag, replies in results.items()
    }
