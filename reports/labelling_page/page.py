"""Renders the pages of `understudy label`; what they show is chosen by `labelling`.

None of them names a model, a verdict or a stratum: raters are blind to who answered and to what
the judge said.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from core.candidates import CandidateRow
from core.reports.coverage import Agreement
from reports.theme import render_page

_TEMPLATES = Path(__file__).parent / "templates"


class Shown(Protocol):
    """The texts of an answer."""

    @property
    def prompt(self) -> str: ...  # noqa: D102
    @property
    def output(self) -> str: ...  # noqa: D102
    @property
    def response(self) -> str: ...  # noqa: D102


class Progress(NamedTuple):
    """How far a rater has come.

    Attributes:
        done: Decided by this rater.
        planned: Planned labels.
        total: All that could be decided.
    """

    done: int
    planned: int
    total: int


def render_start(title: str, raters: Sequence[str], places: int, error: str = "") -> str:
    """Render the question who labels.

    Args:
        title: Title of the task.
        raters: Who has labelled before.
        places: How many further raters there may be.
        error: What was wrong with the last name.
    """
    return _page("start", title=title, raters=raters, places=places, error=error)


def render_answer(
    *,
    rater: str,
    key: str,
    shown: Shown,
    chosen: str,
    reason: str,
    previous: str | None,
    progress: Progress,
    suspects: int,
) -> str:
    """Render one answer to label.

    Args:
        rater: Who labels.
        key: Stands for the answer in the form.
        shown: Its texts.
        chosen: The rater's earlier decision; empty without one.
        reason: The earlier reason.
        previous: Key of the answer to go back to; None at the start.
        progress: The rater's.
        suspects: Suspect references without a decision.
    """
    return _page(
        "answer",
        rater=rater,
        key=key,
        shown=shown,
        chosen=chosen,
        reason=reason,
        previous=previous,
        progress=progress,
        suspects=suspects,
    )


def render_reference(
    *,
    rater: str,
    id: str,
    prompt: str,
    reference: str,
    proposal: str | None,
    text: str,
    progress: Progress,
    error: str = "",
) -> str:
    """Render one suspect reference.

    Args:
        rater: Who decides.
        id: The coverage row's id.
        prompt: Its prompt.
        reference: Its reference.
        proposal: Another answer; None where there is none.
        text: What the field for the edited reference holds.
        progress: Of the queue.
        error: What was wrong with the last edit.
    """
    return _page(
        "reference",
        rater=rater,
        id=id,
        prompt=prompt,
        reference=reference,
        proposal=proposal,
        text=text,
        progress=progress,
        error=error,
    )


def render_candidate(
    *,
    rater: str,
    candidate: CandidateRow,
    text: str,
    rows_path: str,
    progress: Progress,
    error: str = "",
) -> str:
    """Render one candidate for a coverage row.

    Args:
        rater: Who decides.
        candidate: The request, with the service's answer.
        text: What the field for the edited reference holds.
        rows_path: File of the coverage dataset that gets the accepted rows.
        progress: Of the queue.
        error: What was wrong with the last edit.
    """
    return _page(
        "candidate",
        rater=rater,
        candidate=candidate,
        text=text,
        rows_path=rows_path,
        progress=progress,
        error=error,
    )


def render_overview(
    *,
    rater: str,
    raters: Sequence[tuple[str, int]],
    total: int,
    agreement: Agreement | None,
    contradictions: Sequence[str],
    suspects: Progress,
    candidates: Progress,
    accepted: int,
    rows_path: str,
    sheet_path: str,
    diff_command: str,
) -> str:
    """Render what has been labelled, and what to do with it.

    Args:
        rater: Who looks.
        raters: Each rater with the number of decisions.
        total: All answers.
        agreement: Of two raters; None with fewer.
        contradictions: Keys of answers on which they contradict each other.
        suspects: Progress of the suspect references.
        candidates: Progress of the candidates for coverage rows.
        accepted: Candidates that have become coverage rows.
        rows_path: File of the coverage dataset that holds them.
        sheet_path: Where the labels are.
        diff_command: Command that applies the edited references; empty without an edit.
    """
    return _page(
        "overview",
        rater=rater,
        raters=raters,
        total=total,
        agreement=agreement,
        contradictions=contradictions,
        suspects=suspects,
        candidates=candidates,
        accepted=accepted,
        rows_path=rows_path,
        sheet_path=sheet_path,
        diff_command=diff_command,
    )


def _page(name: str, **values: object) -> str:
    return render_page(_TEMPLATES / f"{name}.html.j2", scripts=[_TEMPLATES / "page.js"], **values)
