"""How good the answers of a drill are, without a judge: an outage has none to ask."""

from collections.abc import Sequence

from judging.rates import wilson
from judging.scorers import JSON_FIELDS, ROUGE_L, score_all
from judging.settings import EvaluatorSettings
from serving.drill.record import Rate


def covered_rate(pairs: Sequence[tuple[str, str]]) -> Rate:
    """Return the coverage rate of (reference, answer) pairs.

    An answer covers its prompt where it has the JSON fields of the reference; where that is no
    JSON, by ROUGE-L. Both thresholds are the evaluator's own.
    """
    settings = EvaluatorSettings()
    covered = 0
    for scores in score_all(pairs):
        fields, words = scores[JSON_FIELDS], scores[ROUGE_L]
        if fields is not None:
            covered += fields >= settings.json_fields_threshold
        else:
            covered += (words or 0.0) >= settings.rouge_l_threshold
    share = covered / len(pairs)
    rate, low, high = (round(100 * each, 1) for each in (share, *wilson(share, len(pairs))))
    return Rate(rate=rate, low=low, high=high)
