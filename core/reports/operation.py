"""Service or own: what both took in a run, and what a request costs on either."""

from collections.abc import Sequence
from typing import Self

from core.reports.report import Part, Report


class BatchSeconds(Part):
    """One batch of responses: how many, and how long they took together."""

    responses: int
    seconds: float


class GenerationTimes(Report):
    """How long a model's responses took: the content of `generation_times.json`.

    Attributes:
        batch_size: Prompts answered at once.
        batches: Those whose program was compiled before.
        left_out: Responses of batches whose time includes the compilation of their program.
    """

    batch_size: int
    batches: tuple[BatchSeconds, ...]
    left_out: int


class Latency(Part):
    """Seconds for an answer: the median and the 95th percentile by nearest rank."""

    p50_seconds: float
    p95_seconds: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self | None:
        """Measure; None without answers."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        median, high = (ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in (50, 95))
        return cls(p50_seconds=round(median, 4), p95_seconds=round(high, 4))


class ServiceAnswers(Part):
    """The service LLM's own answers to the coverage prompts of a run.

    Attributes:
        model: Its name.
        requests: Answers, whichever run they were paid for in.
        timed: Of these, the ones whose seconds are known.
        counted: Of these, the ones whose tokens the provider counted.
        prompt_tokens: Of the counted ones.
        output_tokens: Likewise, thinking included.
        latency: Of the timed ones; None without any, as from a batch.
        usd_per_request: At the price for single requests; None where the price is unknown.
    """

    model: str
    requests: int
    timed: int
    counted: int
    prompt_tokens: int
    output_tokens: int
    latency: Latency | None
    usd_per_request: float | None


class OwnAnswers(Part):
    """The tuned model's responses in ResponseGen.

    Attributes:
        responses: Responses that were measured.
        left_out: Those that were not, see `GenerationTimes`.
        batch_size: Prompts answered at once: a response takes as long as its batch.
        latency: Of a response.
        per_second: Responses a second.
    """

    responses: int
    left_out: int
    batch_size: int
    latency: Latency
    per_second: float

    @classmethod
    def of(cls, times: GenerationTimes) -> Self | None:
        """Measure; None without a batch whose program was compiled before."""
        each = [batch.seconds for batch in times.batches for _ in range(batch.responses)]
        latency = Latency.of(each)
        total = sum(batch.seconds for batch in times.batches)
        if latency is None or not total:
            return None
        return cls(
            responses=len(each),
            left_out=times.left_out,
            batch_size=times.batch_size,
            latency=latency,
            per_second=len(each) / total,
        )


class ServiceOrOwn(Part):
    """What requests cost with the service LLM and with the tuned model, and where they are equal.

    Amounts are in USD; one that is None is unknown, and `unknown` says why.

    Attributes:
        requests_per_day: Assumed.
        machine: Type of the machine that would answer, or where its price comes from.
        machine_usd_per_hour: Its price.
        hours_per_day: Hours for which it is paid, idle ones included.
        machines: Machines that `requests_per_day` need; None where the speed was not measured.
        retrain_every_days: Days between two runs like this one.
        replies_usd: What the replies of this run cost: synthetic data and verdicts.
        training_hours: Hours of machines that this run took.
        run_usd: A run like this one: replies and machine.
        service: The service LLM's answers; None where it is no baseline.
        own: The tuned model's; None where ResponseGen measured none.
        service_usd_per_1000: A thousand requests to the service LLM.
        own_usd_per_1000: A thousand at `requests_per_day`: machines and repeated runs.
        break_even_per_day: Requests a day from which the tuned model costs less; None where
            there are none, or where it is unknown.
        never: Whether the service is cheaper at any number of requests.
        unknown: Sentences that say what is missing.
    """

    requests_per_day: int
    machine: str
    machine_usd_per_hour: float | None
    hours_per_day: float
    machines: int | None
    retrain_every_days: float
    replies_usd: float | None
    training_hours: float
    run_usd: float | None
    service: ServiceAnswers | None
    own: OwnAnswers | None
    service_usd_per_1000: float | None
    own_usd_per_1000: float | None
    break_even_per_day: int | None
    never: bool
    unknown: tuple[str, ...]
