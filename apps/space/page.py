"""The parts of the page that are plain HTML; every text of a model or a person is escaped."""

import html
import json

from evaluation import Answered, Evaluation, Rates

_VERDICTS = {"covered": "Covered", "missed": "Missed", "unscored": "Unscored"}


def header(title: str, name: str, evaluation: Evaluation | None) -> str:
    """The title, the model and, where one judged, the warning about a stand-in."""
    warning = ""
    if evaluation and evaluation.is_stand_in:
        warning = (
            '<p class="notice"><strong>Judged by a stand-in.</strong> A grammar, not a language '
            "model, generated the training data and judged these responses. The figures show how "
            "the pipeline works; they do not evaluate the model.</p>"
        )
    return (
        f"<header><h1>{html.escape(title)}</h1>"
        "<p>A small open model that took over this one task from a service LLM.</p>"
        f'<p class="model">{html.escape(name)}</p>{warning}</header>'
    )


def status(is_ready: bool, error: str, loading_seconds: int) -> str:
    """One line on the model: loading, ready, or why it is missing."""
    if error:
        return f'<p class="status missing" role="status">No model. {html.escape(error)}</p>'
    if is_ready:
        return '<p class="status ready" role="status">The model is ready.</p>'
    return (
        f'<p class="status loading" role="status">The model is loading ({loading_seconds} s). '
        "A message sent now is answered when it is ready.</p>"
    )


def figures(evaluation: Evaluation | None) -> str:
    """The coverage rates with their intervals, by split and by tag."""
    if evaluation is None:
        return '<p class="empty">There is no evaluation beside this model.</p>'
    gate = evaluation.tuned[evaluation.gate_split]
    bars = [
        _bar(label, evaluation.tuned[name], evaluation.base.get(name), evaluation.threshold)
        for name, label in (("holdout", "Held-out prompts"), ("seed", "Seed prompts"))
        if name in evaluation.tuned
    ]
    tags = [_bar(tag, evaluation.tuned[tag], evaluation.base.get(tag)) for tag in evaluation.tags]
    by_tag = f'<details class="tags"><summary>By tag ({len(tags)})</summary>{"".join(tags)}'
    verdict = "passed" if gate.percent >= evaluation.threshold else "missed"
    legend = '<span><i class="key base"></i>base model</span>' if evaluation.base else ""
    return (
        '<section class="figures"><div class="headline">'
        f'<span class="rate">{gate.percent:.1f}<small> %</small></span>'
        f"<span>of the {'held-out' if evaluation.gate_split == 'holdout' else 'seed'} prompts "
        f"are covered ({gate.covered} of {gate.total})</span>"
        f'<span class="gate {verdict}">gate of {evaluation.threshold:.0f} % {verdict}</span>'
        f"<span>round {evaluation.round}, judged by {html.escape(evaluation.judge)}</span></div>"
        f'<div class="bars">{"".join(bars)}'
        '<p class="legend"><span><i class="key tuned"></i>this model</span>'
        f'<span><i class="key range"></i>95 % interval</span>{legend}'
        '<span><i class="key threshold"></i>gate</span></p>'
        f"{by_tag + '</details>' if tags else ''}</div></section>"
    )


def comparison(row: Answered | None, response: str | None = None) -> str:
    """The desired output of the coverage prompt that was asked, and its recorded verdict.

    Args:
        row: The coverage prompt; None for another message.
        response: What the model has just answered to it; None where it has not.
    """
    if row is None:
        return (
            '<div class="comparison empty">Choose a coverage prompt to see its desired output '
            "beside the response.</div>"
        )
    base = _output("Base model, at the evaluation", row.base_response) if row.base_response else ""
    now = _output("This model, now", response, row.output) if response is not None else ""
    reason = f'<p class="reason">{html.escape(row.reason)}</p>' if row.reason else ""
    return (
        f'<div class="comparison">{_output("Desired output", row.output)}{now}'
        f"{_output('This model, at the evaluation', row.response, row.output)}{base}"
        f"<p>{_badge(row)} {html.escape(row.split)} prompt {html.escape(row.id)}</p>{reason}</div>"
    )


def table(evaluation: Evaluation | None, wanted: str) -> str:
    """All coverage prompts with the desired output and the response side by side.

    Args:
        evaluation: What was judged.
        wanted: `all`, or a verdict: `covered`, `missed`, `unscored`.
    """
    rows = evaluation.rows if evaluation else ()
    shown = [row for row in rows if wanted in ("all", _verdict(row))]
    if not shown:
        return '<p class="empty">There are no such prompts.</p>'
    return f'<div class="prompts">{"".join(map(_row, shown))}</div>'


def label(row: Answered) -> str:
    """The row's name in a list of prompts."""
    text = " ".join(row.prompt.split())
    return f"{row.id}: {text[:90]}{'…' if len(text) > 90 else ''}"


def _row(row: Answered) -> str:
    tags = " ".join(f"<span>{html.escape(tag)}</span>" for tag in row.tags)
    return (
        f'<article class="{_verdict(row)}"><div class="meta">{_badge(row)}'
        f'<span class="id">{html.escape(row.split)} · {html.escape(row.id)}</span>'
        f'<span class="labels">{tags}</span></div>'
        f'<p class="prompt">{html.escape(row.prompt)}</p><div class="pair">'
        f"{_output('Desired output', row.output)}{_output('This model', row.response, row.output)}"
        "</div></article>"
    )


def _output(name: str, text: str, desired: str | None = None) -> str:
    """A text under its name; lines that the desired output lacks are marked."""
    lines = _pretty(text).splitlines()
    known = set(lines if desired is None else _pretty(desired).splitlines())
    marked = "\n".join(
        html.escape(line) if line in known else f"<mark>{html.escape(line)}</mark>"
        for line in lines
    )
    return f"<figure><figcaption>{name}</figcaption><pre>{marked}</pre></figure>"


def _pretty(text: str) -> str:
    """JSON objects one key per line, so that two of them compare at a glance."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=1, ensure_ascii=False) if isinstance(value, dict) else text


def _verdict(row: Answered) -> str:
    if not row.scored:
        return "unscored"
    return "covered" if row.covered else "missed"


def _badge(row: Answered) -> str:
    verdict = _verdict(row)
    return f'<span class="badge {verdict}">{_VERDICTS[verdict]}</span>'


def _bar(name: str, rates: Rates, base: Rates | None, threshold: float | None = None) -> str:
    gate = f'<i class="threshold" style="left:{threshold:.1f}%"></i>' if threshold else ""
    other = f'<i class="base" style="left:{base.percent:.1f}%"></i>' if base else ""
    text = f"{rates.percent:.1f} % ({rates.low:.0f} to {rates.high:.0f})"
    if base:
        text += f", base {base.percent:.1f} %"
    return (
        f'<div class="bar"><span class="name">{html.escape(name)}</span>'
        f'<span class="value">{text}</span><div class="track">'
        f'<i class="range" style="left:{rates.low:.1f}%;width:{rates.high - rates.low:.1f}%"></i>'
        f'<i class="fill" style="width:{rates.percent:.1f}%"></i>{other}{gate}</div></div>'
    )
