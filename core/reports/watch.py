"""Coverage of the service and the model over time."""

from collections.abc import Callable, Mapping, Sequence

import pydantic

from core.reports.report import Part, Report


class WatchRate(Part):
    """How many of the prompts were covered at a look.

    Attributes:
        covered: Covered prompts.
        total: All prompts.
        unscored: Those whose answers could not be scored; they count as not covered.
    """

    covered: int
    total: int
    unscored: int = 0

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
        prompts: Tells the prompts that were asked, and their references, from others; a rate is
            compared only with those of the same prompts.
    """

    time: str
    service: WatchRate
    service_versions: tuple[str, ...]
    model: WatchRate
    round: int | None
    cost_usd: float | None
    alarms: tuple[str, ...]
    model_version: str | None = None
    prompts: str = ""


class FailedLook(Part):
    """A look that ended with an error.

    Attributes:
        time: When, ISO 8601 in UTC.
        cost_usd: What it cost all the same; None where a price is unknown.
    """

    time: str
    cost_usd: float | None


class WatchReport(Report):
    """All looks.

    Attributes:
        task: Name of the task.
        looks: The oldest first.
        failed: Those without a result, likewise.
        unsent: Alarms of the newest look that no gateway has taken yet, in words, by their name.
    """

    task: str
    looks: tuple[WatchLook, ...] = ()
    failed: tuple[FailedLook, ...] = ()
    unsent: Mapping[str, str] = pydantic.Field(default_factory=dict)


def same_service(looks: Sequence[WatchLook]) -> list[WatchLook]:
    """Return the looks at the service that the newest look saw, by its models' names.

    Only those with the newest look's prompts, as in `same_model`.
    """
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
    own = zip(looks, names, strict=True)
    return [look for look, its in own if its == names[-1] and _asked(look) == _asked(looks[-1])]


def _asked(look: WatchLook) -> object:
    # Earlier versions left out of the total what could not be scored.
    return look.prompts, look.service.total, look.model.total
