"""Infer the form of outputs from the seeds.

Where most seed outputs are JSON the form is a JSON Schema and a style; otherwise it is a longest
length and, where the seeds show a closed set, the labels. Seeds that do not fit are listed by
`OutputForm.misfits`; they do not switch the form off.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from task.form.output_form import OutputForm, sentences_in
from task.form.schema import (
    MIN_ENUM_SEEDS,
    MIN_SIGHTINGS,
    closed_set,
    infer_schema,
    max_chars,
)
from task.form.tidy import has_fence, has_lead_in, is_fenced, without_fence, without_lead_in
from task.form.values import infer_style, key_orders, loads
from task.language import infer_languages

_MIN_JSON = 0.8  # of the seeds are JSON objects or arrays
_MAX_LABEL_CHARS = 40
_MIN_REPEATED = 3  # sightings of a label on average
_LISTED = 5
_MIN_FENCED = 10  # seeds, all of them in a fence, so that an output without one is not valid
_MIN_CODE = 0.5  # of the seeds look like code
_CODE = re.compile(
    r"^\s*(?:select|insert|update|delete|with|create)\b[\s\S]*\b(?:from|into|set|as|table)\b"
    r"|^\s*(?:def|class|import|from|function|const|let|var|public|package|#include)\b.*[:;({>]?\s*$"
    r"|^\s*(?:if|for|while|elif|else|try|with)\b.*:\s*$|^\s+return\b"
    r"|[;{}]\s*$|^\s*<[a-zA-Z!?][^>]*>",
    re.IGNORECASE | re.MULTILINE,
)


def infer_form(outputs: Sequence[str], schema: Mapping[str, Any] | None = None) -> OutputForm:
    """Infer the form that the outputs have.

    Args:
        outputs: The seeds' outputs, at least one.
        schema: A JSON Schema that the task gives; it is then the form.
    """
    found: list[tuple[str, Any]] = []
    for output in outputs:
        try:
            value = loads(output)
        except ValueError:
            # A seed may have the fence that models like.
            output = without_fence(without_lead_in(output))  # noqa: PLW2901
            try:
                value = loads(output)
            except ValueError:
                continue
        found.append((output, value))
    structured = sum(isinstance(value, dict | list) for _, value in found)
    if schema is not None or structured >= _MIN_JSON * len(outputs):
        return _json_form(found, schema)
    return _text_form(outputs)


def what_labels_lack(outputs: Sequence[str]) -> str | None:
    """Say why outputs that look like labels are taken for free text; None where they do not.

    Args:
        outputs: The seeds' outputs.
    """
    counts = Counter(output.strip() for output in outputs)
    short = max(map(len, counts), default=0) <= _MAX_LABEL_CHARS
    if not short or not 2 <= len(counts) <= len(outputs) / _MIN_REPEATED:
        return None
    rare = [f"{value!r} {n}" for value, n in counts.most_common()[::-1] if n < MIN_SIGHTINGS]
    more = ", …" if rare[_LISTED:] else ""
    seldom = f" Seldom here: {', '.join(rare[:_LISTED])}{more}." if rare else ""
    return (
        f"They look like labels ({len(counts)} different outputs of {len(outputs)} seeds), but "
        f"others may be yet to come: a closed set is inferred from {MIN_ENUM_SEEDS} seeds or more, "
        f"each label in {MIN_SIGHTINGS} of them.{seldom}"
    )


def _json_form(found: Sequence[tuple[str, Any]], schema: Mapping[str, Any] | None) -> OutputForm:
    if schema is None:
        found = [(output, value) for output, value in found if isinstance(value, dict | list)]
    values = [value for _, value in found]
    return OutputForm(
        schema=infer_schema(values) if schema is None else schema,
        style=infer_style([output for output, _ in found], values) if found else None,
        key_orders=key_orders(values),
        languages=infer_languages([sentences_in(value) for value in values]),
    )


def _text_form(outputs: Sequence[str]) -> OutputForm:
    is_code = sum(bool(_CODE.search(output)) for output in outputs) >= _MIN_CODE * len(outputs)
    return OutputForm(
        labels=frozenset(closed_set(enumerate(output.strip() for output in outputs))),
        max_chars=max_chars([len(output) for output in outputs], len(outputs)),
        languages=infer_languages([] if is_code else outputs),
        keeps_fences=any(map(has_fence, outputs)),
        needs_fence=len(outputs) >= _MIN_FENCED and all(map(is_fenced, outputs)),
        keeps_lead_ins=any(map(has_lead_in, outputs)),
        is_code=is_code,
    )
