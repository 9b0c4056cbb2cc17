"""The verdict on pairs of answers to real requests: whether it is safe to switch."""

import math
from collections.abc import Mapping
from typing import Literal

from core.reports.report import Part, Report

SwitchState = Literal["safe to switch", "not yet", "worse"]
SAFE: SwitchState = "safe to switch"
NOT_YET: SwitchState = "not yet"
WORSE: SwitchState = "worse"
NO_PAIRS = "No verdict: no captured exchange has the answers of the service and of this model."
MAKE_PAIRS = "Let the model answer copies of the requests: understudy serve mode shadow."


class SwitchDecision(Part):
    """What pairs of answers say about a model next to the service.

    Attributes:
        state: `safe to switch` where the model is worse by less than the margin, `worse` where it
            is worse by more, and `not yet` while neither is known.
        pairs: Requests that both answered.
        gained: Pairs in which the model's answer scored higher.
        lost: Pairs in which the service's answer scored higher.
        service_percent: Mean score of the service, 0 to 100.
        model_percent: Mean score of the model, 0 to 100.
        difference_points: The model's mean score less the service's, in percentage points.
        low_points: Lower end of its interval, which holds at every look.
        high_points: Upper end.
        more_pairs: About how many more pairs decide it, if they are like those so far; 0 where it
            is decided, None where no number that anybody has would.
    """

    state: SwitchState
    pairs: int
    gained: int
    lost: int
    service_percent: float
    model_percent: float
    difference_points: float
    low_points: float
    high_points: float
    more_pairs: int | None


class DifferingPair(Part):
    """A request at which one of the two answers scored higher.

    Attributes:
        id: Of the captured exchange.
        time: When the request arrived, ISO 8601 in UTC.
        prompt: The request's last message.
        service: The service's answer.
        model: The model's answer.
        better: Whose answer scored higher.
        confidence: The model's mean log-probability; None where it was not measured.
        tags: Of the request.
        reason: The judge's.
    """

    id: str
    time: str
    prompt: str
    service: str
    model: str
    better: Literal["service", "model"]
    confidence: float | None
    tags: tuple[str, ...]
    reason: str


class SwitchCost(Part):
    """What the verdict costs, in US dollars; None where a price is unknown.

    Attributes:
        judged_usd: What the judge has cost so far.
        judge_to_come_usd: About what it will cost until the verdict.
        service_per_thousand_usd: What the service asks for a thousand requests like these.
    """

    judged_usd: float | None
    judge_to_come_usd: float | None
    service_per_thousand_usd: float | None


class TrafficCluster(Part):
    """Requests that are like each other, and like no coverage prompt.

    Attributes:
        requests: How many; about, where not all of the week's were clustered.
        percent: Their share of all requests of the week, 0 to 100, likewise.
        examples: Some of them, the most typical first.
        ids: Of the exchanges that the service answered, the most typical first; a few.
    """

    requests: int
    percent: float
    examples: tuple[str, ...]
    ids: tuple[str, ...]


class UnlikeTraffic(Part):
    """Real traffic that the coverage dataset does not represent.

    Attributes:
        since: When the first of these requests arrived, ISO 8601 in UTC; a week before the newest.
        requests: Requests of the week.
        unlike: Those that are like no coverage prompt.
        unlike_percent: Their share, 0 to 100.
        clusters: The largest groups of them.
        clustered: How many of them were looked at for that, evenly spread over the week; None where
            an earlier version wrote the file, which looked at no more than the newest.
    """

    since: str
    requests: int
    unlike: int
    unlike_percent: float
    clusters: tuple[TrafficCluster, ...]
    clustered: int | None = None


class SwitchReport(Report):
    """The verdict on a tuned model, from pairs of answers to real requests.

    Attributes:
        task: Name of the task.
        created: When it was made, ISO 8601 in UTC.
        round: The round that made the model; None where it has answered nothing.
        model_version: Task, round and hash of its weights; None where the exchanges do not say it.
        since: When the first request that counts arrived, ISO 8601 in UTC; empty without any.
        margin_points: By how much the model may be worse, in percentage points.
        scorer: What scored the answers.
        overall: The verdict; None where there is no pair of its answers and the service's.
        shadow_percent: Percentage of the requests that are copied to the model, and become pairs.
        tags: A verdict for each tag of the most similar coverage prompts; all of them together are
            wrong at most as often as the overall one.
        unscored: Pairs that could not be scored; the model's answer counts as not covered.
        other_rounds: Pairs of other tuned models, which do not count: of other rounds, or of a run
            that was repeated.
        service_versions: The models that the service answered with, by how often.
        other_versions: Pairs with models that it answered with before, which do not count.
        cost: What finding out costs.
        traffic: What the coverage dataset does not know of the last week's requests.
        differing: The pairs that differ, the newest first.
        uncovered: The requests that the model did not cover, failed at or was unsure of, the newest
            first: the exchange's id, and the tags of the coverage prompt that it is most like.
    """

    task: str
    created: str
    round: int | None
    since: str
    margin_points: float
    scorer: str
    overall: SwitchDecision | None
    tags: Mapping[str, SwitchDecision]
    unscored: int
    other_rounds: int
    service_versions: Mapping[str, int]
    cost: SwitchCost
    traffic: UnlikeTraffic
    differing: tuple[DifferingPair, ...]
    uncovered: Mapping[str, tuple[str, ...]] = {}
    shadow_percent: float = 100.0
    other_versions: Mapping[str, int] = {}
    model_version: str | None = None

    @property
    def more_requests(self) -> int | None:
        """About how many more requests decide it; see `SwitchDecision.more_pairs`."""
        more = self.overall.more_pairs if self.overall else None
        return None if more is None else math.ceil(more * 100 / self.shadow_percent)
