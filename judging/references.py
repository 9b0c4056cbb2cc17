"""Several right answers to a prompt: a response is compared with the closest one."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping

from core.records import ResponseRow, VerdictRow
from judging.scorers import EMBEDDING, exact_match, json_fields, normalized, rouge_l


def closest_first(row: ResponseRow) -> ResponseRow:
    """Make the right answer that is closest to the response the row's `output`.

    A right answer that the response equals is the closest, in its text or in its JSON fields; of
    the others it is the one with the most equal fields, then with the most words in common.

    Args:
        row: A response; one whose prompt has a single right answer stays as it is.
    """
    if not row.references:
        return row
    answers = (row.output, *row.references)
    closest = max(answers, key=lambda answer: _closeness(answer, row.response))
    others = tuple(answer for answer in answers if answer != closest)
    return dataclasses.replace(row, output=closest, references=others)


def best_scores(
    row: ResponseRow, scores: Mapping[tuple[str, str], Mapping[str, float | None]]
) -> dict[str, float | None]:
    """Return the scores of a response to its closest right answer.

    The closest one by text is the row's `output`; by vector it may be another one.

    Args:
        row: A response, its closest right answer first.
        scores: By right answer and response, for each right answer.
    """
    found = dict(scores[row.output, row.response])
    if found.get(EMBEDDING) is None:
        return found
    by_vector = (
        scores[answer, row.response][EMBEDDING] for answer in (row.output, *row.references)
    )
    return found | {EMBEDDING: max(score for score in by_vector if score is not None)}


def reference_correctness(rows: Iterable[VerdictRow]) -> dict[tuple[str, str], float]:
    """Return the median correctness, 1 to 5, that votes give each right answer, by id and text.

    A prompt may have several right answers, and each response was shown with the closest one.
    """
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for row in rows:
        if row.votes:
            values = [vote.reference_correctness for vote in row.votes]
            found.setdefault((row.id, row.output), {})[row.response] = values
    return {
        key: statistics.median(value for values in by_response.values() for value in values)
        for key, by_response in found.items()
    }


def _closeness(answer: str, response: str) -> tuple[float, float, float]:
    return (
        exact_match(answer, response),
        json_fields(answer, response) or 0.0,
        rouge_l(normalized(answer), normalized(response)),
    )
