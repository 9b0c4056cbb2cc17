"""Coverage of the service and the model over time."""

from collections.abc import Callable, Sequence

from core.reports.report import Part, Report


class WatchRate(Part):
    """How many of the prompts were covered at a look.

    Attributes:
        covered: Covered prompts.
        total: All prompts, but for those whose answers could not be scored.
    """

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """The rate, 0 to 100; 0 without any."""
        return 100 * self.covered / self.total if self.total else 0.0


class WatchLook(Part):
    """One look.

    Attributes:
        time: When, ISO 8601 in UTC.
        service: The service's rate.
        service_versions: The models that it answered with, sorted; empty where it named none.
        model: The tuned model's rate.
        round: The round that made it; None where it did not answer.
        model_version: Task, round and hash of its weights; None where the gateway does not say it.
        cost_usd: What the look cost; None where a price is unknown.
        alarms: What was wrong, in words.
    """

    time: str
    service: WatchRate
    service_versions: tuple[str, ...]
    model: WatchRate
    round: int | None
    cost_usd: float | None
    alarms: tuple[str, ...]
    model_version: str | None = None


class WatchReport(Report):
    """All looks.

    Attributes:
        task: Name of the task.
        looks: The oldest first.
    """

    task: str
    looks: tuple[WatchLook, ...] = ()


def same_service(looks: Sequence[WatchLook]) -> list[WatchLook]:
    """Return the looks at the service that the newest look saw, by its models' names."""
    return _same(looks, lambda look: look.service_versions)


def same_model(looks: Sequence[WatchLook]) -> list[WatchLook]:
    """Return the looks at the tuned model that the newest look saw."""
    return _same(looks, lambda look: look.round is not None and (look.round, look.model_version))


def _same(looks: Sequence[WatchLook], name: Callable[[WatchLook], object]) -> list[WatchLook]:
    """Return the looks at what the newest look saw.

    One at which nobody gave a name, as where nothing was answered, saw what the look before saw:
    else a failure would have no limits.
    """
    names: list[object] = []
    for look in looks:
        names.append(name(look) or (names[-1] if names else None))
    return [look for look, own in zip(looks, names, strict=True) if own == names[-1]]
