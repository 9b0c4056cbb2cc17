"""Tells a hub that does not answer now from a model that is not there."""

from collections.abc import Iterator

_CLIENTS = ("requests", "httpx", "httpx2", "httpcore", "httpcore2", "urllib3")
_PASSING = (408, 429)
_SWITCHED_OFF = "OfflineModeIsEnabled"  # HF_HUB_OFFLINE: trying again would not help


def is_outage(error: BaseException) -> bool:
    """Whether a download failed at the network or at the hub, so that trying again may help."""
    chain = list(_chain(error))
    if any(type(each).__name__ == _SWITCHED_OFF for each in chain):
        return False
    statuses = [status for each in chain if (status := _status_of(each)) is not None]
    if statuses:
        return any(status in _PASSING or status >= 500 for status in statuses)
    return any(_is_of_the_network(each) for each in chain)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status_of(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _is_of_the_network(error: BaseException) -> bool:
    """By its package: KerasHub downloads with whichever client the hub's library brings."""
    is_client = type(error).__module__.partition(".")[0] in _CLIENTS
    return isinstance(error, ConnectionError | TimeoutError) or is_client
