"""The parts of the page that are plain HTML; every text of a model or a person is escaped."""

import html
import json

from evaluation import Evaluation, Rate, VerdictRow, turns_of

_SPLITS = {"holdout": "held-out prompts", "seed": "seed prompts", "overall": "coverage prompts"}
_DESCRIPTION = "A small open model that took over this one task from a service LLM."
_HINT = (
    "This message is unlike the prompts of the task. The model has learned this one task: "
    "anything else it answers as if it were that, or with nonsense."
)
_MAX_SHOWN = 50  # prompts of the table
_EXAMPLES = 4
_MAX_EXAMPLE_CHARACTERS = 160
_CHIP_CHARACTERS = 48
_VERDICTS = {"covered": "Covered", "missed": "Missed", "unscored": "Unscored"}


def header(title: str, description: str, name: str, evaluation: Evaluation | None) -> str:
    """Render the title, what the task is, the model and, where one judged, that it was a stand-in.

    Args:
        title: The task's name.
        description: What the task is; empty where nobody said it.
        name: The model and its revision.
        evaluation: What was judged; None where nothing was.
    """
    warning = ""
    if evaluation and evaluation.stand_in:
        warning = (
            '<p class="notice"><strong>Judged by a stand-in.</strong> A grammar, not a language '
            "model, generated the training data and judged these responses. The figures show how "
            "the pipeline works; they do not evaluate the model.</p>"
        )
    task = f"<p>The task: {html.escape(description)}</p>" if description else ""
    return (
        f"<header><h1>{html.escape(title)}</h1>"
        f"<p>{_DESCRIPTION}</p>{task}"
        f'<p class="model">{html.escape(name)}</p>{warning}</header>'
    )


def status(is_ready: bool, error: str, loading_seconds: int) -> str:
    """Say in one line that the model is loading, ready, or why it is missing."""
    if error:
        return f'<p class="status missing" role="status">No model. {html.escape(error)}</p>'
    if is_ready:
        return '<p class="status ready" role="status">The model is ready.</p>'
    return (
        f'<p class="status loading" role="status">The model is loading ({loading_seconds} s). '
        "A message sent now is answered when it is ready.</p>"
    )


def figures(evaluation: Evaluation | None) -> str:
    """Render the coverage rates with their intervals, by split and by tag."""
    if evaluation is None:
        return '<p class="empty">There is no evaluation of this model.</p>'
    gate = evaluation.gate
    rate, prompts = evaluation.tuned[gate.split], _SPLITS[gate.split]
    bound, threshold, passed = "gate", gate.threshold_percent, gate.passed
    bars = [
        _bar(label, evaluation.tuned[name], evaluation.base.get(name), gate.threshold_percent)
        for name, label in (("holdout", "Held-out prompts"), ("seed", "Seed prompts"))
        if name in evaluation.tuned
    ]
    if look := evaluation.last_look:  # the rate that the report and the model card begin with
        rate, prompts = look.rate, "test prompts, judged once,"
        bound, threshold, passed = "threshold", look.threshold_percent, look.reached
        bars.insert(0, _bar("Test prompts, judged once", rate, None, threshold))
    tags = [
        _bar(tag, of_tag, evaluation.base_tags.get(tag))
        for tag, of_tag in evaluation.tuned_tags.items()
    ]
    by_tag = f'<details class="tags"><summary>By tag ({len(tags)})</summary>{"".join(tags)}'
    verdict = "passed" if passed else "missed"
    legend = '<span><i class="key base"></i>base model</span>' if evaluation.base else ""
    return (
        '<section class="figures"><div class="headline">'
        f'<span class="rate">{rate.rate_percent:.1f}<small>&nbsp;%</small></span>'
        f"<span>of the {prompts} are covered ({rate.covered} of {rate.total})</span>"
        f'<span class="gate {verdict}">{bound} of {_percent(threshold)} {verdict}</span>'
        f"<span>round {evaluation.round}, judged by {html.escape(evaluation.judge)}</span></div>"
        f'<div class="bars">{"".join(bars)}'
        '<p class="legend"><span><i class="key tuned"></i>this model</span>'
        f'<span><i class="key range"></i>95&nbsp;% interval</span>{legend}'
        '<span><i class="key threshold"></i>gate</span></p>'
        f"{by_tag + '</details>' if tags else ''}</div></section>"
    )


def comparison(
    evaluation: Evaluation | None,
    row: VerdictRow | None,
    response: str | None = None,
    *,
    is_unlike: bool = False,
) -> str:
    """Render the reference of the chosen coverage prompt, the other answers, and its verdict.

    Args:
        evaluation: What was judged.
        row: The coverage prompt; None for another message.
        response: What the model has just answered to it; None where it has not.
        is_unlike: Whether that other message is unlike the prompts of the task.
    """
    if row is None and is_unlike:
        return f'<div class="comparison hint" role="note">{_HINT}</div>'
    if row is None or evaluation is None:
        return (
            '<div class="comparison empty">Choose a coverage prompt to see its reference '
            "next to the response.</div>"
        )
    others = _others(evaluation, row)
    now = _output("This model, now", response, row.output) if response is not None else ""
    reason = f'<p class="reason">{html.escape(row.reason)}</p>' if row.reason else ""
    return (
        f'<div class="comparison">{_output("Reference", row.output)}{now}'
        f"{_output('This model, at the evaluation', row.response, row.output)}{others}"
        f"<p>{_badge(row)} {html.escape(row.split)} prompt {html.escape(row.id)}</p>{reason}</div>"
    )


def table(evaluation: Evaluation | None, wanted: str, tag: str = "", text: str = "") -> str:
    """Render coverage prompts with the reference and the responses side by side.

    Args:
        evaluation: What was judged.
        wanted: `all`, or a verdict: `covered`, `missed`, `unscored`.
        tag: One that the prompts have; empty for any.
        text: What prompt, reference or responses contain, in whatever case; empty for any.
    """
    if evaluation is None:
        return '<p class="empty">There are no such prompts.</p>'
    text = text.strip().lower()
    found = [
        row
        for row in evaluation.rows
        if wanted in ("all", _verdict(row))
        and (not tag or tag in row.tags)
        and (not text or text in _searched(evaluation, row))
    ]
    if not found:
        return '<p class="empty">There are no such prompts.</p>'
    shown = found[:_MAX_SHOWN]
    count = f"{len(found)} of {len(evaluation.rows)} prompts"
    if len(found) > len(shown):
        count += f", the first {len(shown)} shown"
    articles = "".join(_row(evaluation, row) for row in shown)
    return f'<p class="count" role="status">{count}</p><div class="prompts">{articles}</div>'


def tags(evaluation: Evaluation | None) -> list[str]:
    """Return the tags of the coverage prompts."""
    return sorted({tag for row in (evaluation.rows if evaluation else ()) for tag in row.tags})


def examples(evaluation: Evaluation | None) -> list[VerdictRow]:
    """Pick a few short prompts of a single turn whose tags or references differ, covered first."""
    rows = [
        row
        for row in (evaluation.rows if evaluation else ())
        if len(turns_of(row.prompt)) == 1 and len(row.prompt) <= _MAX_EXAMPLE_CHARACTERS
    ]
    rows.sort(key=lambda row: (not row.covered, len(row.prompt), row.id))
    picked: dict[tuple[str, ...], VerdictRow] = {}
    for row in rows:
        picked.setdefault((*sorted(row.tags), row.output), row)
    return list(picked.values())[:_EXAMPLES]


def _searched(evaluation: Evaluation, row: VerdictRow) -> str:
    texts = (
        row.id,
        row.prompt,
        row.output,
        row.response,
        evaluation.base_responses.get(row.id, ""),
        evaluation.service_responses.get(row.id, ""),
    )
    return "\n".join(texts).lower()


def _others(evaluation: Evaluation, row: VerdictRow) -> str:
    """Render what the service LLM and the base model answered, where they were judged."""
    models = (
        ("Service LLM", evaluation.service_responses),
        ("Base model", evaluation.base_responses),
    )
    return "".join(
        _output(f"{name}, at the evaluation", responses[row.id], row.output)
        for name, responses in models
        if row.id in responses
    )


def transcript(prompt: str) -> str:
    """Write a coverage prompt for people: of several turns each under who speaks."""
    texts = turns_of(prompt)
    if len(texts) == 1:
        return texts[0]
    return "\n\n".join(
        f"{'Assistant' if number % 2 else 'User'}: {text}" for number, text in enumerate(texts)
    )


def label(row: VerdictRow) -> str:
    """Name the row in a list of prompts."""
    text = " ".join(turns_of(row.prompt)[-1].split())
    return f"{row.id}: {text[:90]}{'…' if len(text) > 90 else ''}"


def chip(row: VerdictRow) -> str:
    """Name an example on its button."""
    text = " ".join(row.prompt.split())
    return text if len(text) <= _CHIP_CHARACTERS else f"{text[: _CHIP_CHARACTERS - 1]}…"


def _row(evaluation: Evaluation, row: VerdictRow) -> str:
    tags = " ".join(f"<span>{html.escape(tag)}</span>" for tag in row.tags)
    return (
        f'<article class="{_verdict(row)}"><div class="meta">{_badge(row)}'
        f'<span class="id">{html.escape(row.split)} · {html.escape(row.id)}</span>'
        f'<span class="labels">{tags}</span></div>'
        f'<p class="prompt">{html.escape(transcript(row.prompt))}</p><div class="pair">'
        f"{_output('Reference', row.output)}{_output('This model', row.response, row.output)}"
        f"{_others(evaluation, row)}</div></article>"
    )


def _output(name: str, text: str, reference: str | None = None) -> str:
    """Render a text under its name; lines that the reference lacks are marked."""
    lines = _pretty(text).splitlines()
    known = set(lines if reference is None else _pretty(reference).splitlines())
    marked = "\n".join(
        html.escape(line) if line in known else f"<mark>{html.escape(line)}</mark>"
        for line in lines
    )
    return f"<figure><figcaption>{name}</figcaption><pre>{marked}</pre></figure>"


def _pretty(text: str) -> str:
    """Write a JSON object one key per line, so that two of them compare at a glance."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=1, ensure_ascii=False) if isinstance(value, dict) else text


def _verdict(row: VerdictRow) -> str:
    if not row.scored:
        return "unscored"
    return "covered" if row.covered else "missed"


def _badge(row: VerdictRow) -> str:
    verdict = _verdict(row)
    return f'<span class="badge {verdict}">{_VERDICTS[verdict]}</span>'


def _bar(name: str, rate: Rate, base: Rate | None, threshold: float | None = None) -> str:
    gate = f'<i class="threshold" style="left:{threshold:.1f}%"></i>' if threshold else ""
    other = f'<i class="base" style="left:{base.rate_percent:.1f}%"></i>' if base else ""
    low, high = rate.low_percent, rate.high_percent
    text = f"{_percent(rate.rate_percent)} ({low:.1f} to {high:.1f})"
    if base:
        text += f", base {_percent(base.rate_percent)}"
    return (
        f'<div class="bar"><span class="name">{html.escape(name)}</span>'
        f'<span class="value">{text}</span><div class="track">'
        f'<i class="range" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<i class="fill" style="width:{rate.rate_percent:.1f}%"></i>{other}{gate}</div></div>'
    )


def _percent(value: float) -> str:
    return f"{value:.1f}&nbsp;%"  # number and unit stay on one line
