"""Coverage of the service and the model over time."""

from collections.abc import Sequence

from core.reports.report import Part, Report


class WatchRate(Part):
    """How many of the prompts were covered at a look.

    Attributes:
        covered: Covered prompts.
        total: All prompts that were answered and scored.
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
        service_versions: The models that it answered with, sorted.
        model: The tuned model's rate.
        round: The round that made it; None where it did not answer.
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
    return [look for look in looks if look.service_versions == looks[-1].service_versions]


def same_model(looks: Sequence[WatchLook]) -> list[WatchLook]:
    """Return the looks at the round that the newest look saw."""
    return [look for look in looks if look.round == looks[-1].round]
