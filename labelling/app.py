"""The labelling page as an ASGI application: forms, and a redirect after each decision."""

import shlex
from typing import get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from core.candidates import CandidateRow
from core.errors import UserError
from judging.label_sheet import ANSWERS, RATERS, Decision
from labelling.candidates import CandidateChoice, CandidateQueue
from labelling.label_queue import LabelQueue
from labelling.references import Choice, ReferenceQueue, Suspect
from reports.labelling_page.page import (
    Progress,
    render_answer,
    render_candidate,
    render_overview,
    render_reference,
    render_start,
)

_MAX_REASON_CHARACTERS = 500
_SEE_OTHER = 303  # the browser fetches the next question with GET, so a reload repeats no decision
_HEADERS = {"Cache-Control": "no-store", "X-Frame-Options": "DENY"}
_FORM_FIELDS = {
    "/answer": ("rater", "key", "label"),
    "/reference": ("rater", "id", "choice"),
    "/candidate": ("rater", "id", "choice"),
}


class _Refused(Exception):  # noqa: N818
    """A request that the page itself never sends."""


class _Pages:
    """The handlers; one process serves them one after the other."""

    def __init__(
        self,
        title: str,
        labels: LabelQueue,
        references: ReferenceQueue,
        candidates: CandidateQueue,
    ) -> None:
        self._title = title
        self._candidates = candidates
        self._labels = labels
        self._references = references

    def routes(self) -> list[Route]:
        return [
            Route("/", self._start),
            Route("/answer", self._answer, methods=["GET"]),
            Route("/answer", self._label, methods=["POST"]),
            Route("/reference", self._reference, methods=["GET"]),
            Route("/reference", self._decide, methods=["POST"]),
            Route("/candidate", self._candidate, methods=["GET"]),
            Route("/candidate", self._decide_candidate, methods=["POST"]),
            Route("/overview", self._overview),
        ]

    async def _start(self, request: Request) -> Response:
        return self._start_page()

    def _start_page(self, error: str = "") -> Response:
        raters = self._labels.sheet.raters
        page = render_start(self._title, raters, RATERS - len(raters), error)
        return _html(page, 400 if error else 200)

    async def _answer(self, request: Request) -> Response:
        rater = request.query_params.get("rater", "").strip()
        try:
            self._labels.check_rater(rater)
        except UserError as error:
            return self._start_page(str(error))
        key = request.query_params.get("key") or self._labels.next_key(rater)
        if key is None:
            return _to("/overview", rater=rater)
        row = self._labels.row(key)
        if row is None:
            raise _Refused(f"there is no answer {key!r}")
        earlier = row.decisions.get(rater)
        return _html(
            render_answer(
                rater=rater,
                key=key,
                shown=row.judged,
                chosen=earlier.answer if earlier else "",
                reason=earlier.reason if earlier else "",
                previous=self._labels.previous_key(rater, key),
                progress=self._progress(rater),
                suspects=len(self._references.suspects) - len(self._references.decisions),
            )
        )

    async def _label(self, request: Request) -> Response:
        form = await _form(request)
        rater, key, label = form["rater"], form["key"], form["label"]
        if self._labels.row(key) is None:
            raise _Refused(f"there is no answer {key!r}")
        answer = next((answer for answer in ANSWERS if answer == label), None)
        if answer is None:
            raise _Refused(f"the label is {label!r}")
        reason = " ".join(form.get("reason", "").split())[:_MAX_REASON_CHARACTERS]
        try:
            self._labels.decide(key, rater, Decision(answer, reason))
        except UserError as error:
            return self._start_page(str(error))
        return _to("/answer", rater=rater)

    async def _reference(self, request: Request) -> Response:
        rater = request.query_params.get("rater", "").strip()
        suspect = self._references.next()
        if suspect is None:
            return _to("/overview", rater=rater)
        return self._reference_page(rater, suspect, suspect.reference)

    def _reference_page(self, rater: str, suspect: Suspect, text: str, error: str = "") -> Response:
        page = render_reference(
            rater=rater,
            id=suspect.id,
            prompt=suspect.prompt,
            reference=suspect.reference,
            proposal=suspect.proposal,
            text=text,
            progress=self._suspects(),
            error=error,
        )
        return _html(page, 400 if error else 200)

    async def _decide(self, request: Request) -> Response:
        form = await _form(request)
        suspect = self._references.find(form["id"])
        choice = next((c for c in get_args(Choice) if c == form["choice"]), None)
        if suspect is None or choice is None:
            raise _Refused(f"there is no suspect {form['id']!r}, or no choice {form['choice']!r}")
        # A browser sends line breaks of a text field as CRLF.
        text = form.get("text", "").replace("\r\n", "\n")
        try:
            self._references.decide(suspect, choice, text, form["rater"])
        except UserError as error:
            return self._reference_page(form["rater"], suspect, text, str(error))
        return _to("/reference", rater=form["rater"])

    async def _candidate(self, request: Request) -> Response:
        rater = request.query_params.get("rater", "").strip()
        candidate = self._candidates.next()
        if candidate is None:
            return _to("/overview", rater=rater)
        return self._candidate_page(rater, candidate, candidate.output)

    def _candidate_page(
        self, rater: str, candidate: CandidateRow, text: str, error: str = ""
    ) -> Response:
        page = render_candidate(
            rater=rater,
            candidate=candidate,
            text=text,
            rows_path=str(self._candidates.rows_path),
            progress=self._candidate_progress(),
            error=error,
        )
        return _html(page, 400 if error else 200)

    async def _decide_candidate(self, request: Request) -> Response:
        form = await _form(request)
        candidate = self._candidates.find(form["id"])
        choice = next((c for c in get_args(CandidateChoice) if c == form["choice"]), None)
        if candidate is None or choice is None:
            raise _Refused(f"there is no candidate {form['id']!r}, or no choice {form['choice']!r}")
        text = form.get("text", "").replace("\r\n", "\n")
        try:
            self._candidates.decide(candidate, choice, text, form["rater"])
        except UserError as error:
            return self._candidate_page(form["rater"], candidate, text, str(error))
        return _to("/candidate", rater=form["rater"])

    async def _overview(self, request: Request) -> Response:
        labels, references = self._labels, self._references
        diff = references.diff_path
        has_edit = diff.exists() and diff.stat().st_size > 0
        folder, file = shlex.quote(str(references.coverage_dir)), shlex.quote(str(diff))
        return _html(
            render_overview(
                rater=request.query_params.get("rater", "").strip(),
                raters=[(rater, labels.decided(rater)) for rater in labels.sheet.raters],
                total=len(labels.sheet.rows),
                agreement=labels.agreement(),
                contradictions=labels.contradictions(),
                suspects=self._suspects(),
                candidates=self._candidate_progress(),
                accepted=self._candidates.accepted,
                rows_path=str(self._candidates.rows_path),
                sheet_path=str(labels.path),
                diff_command=f"patch -p1 -d {folder} < {file}" if has_edit else "",
            )
        )

    def _progress(self, rater: str) -> Progress:
        total = len(self._labels.sheet.rows)
        return Progress(self._labels.decided(rater), min(self._labels.planned, total), total)

    def _candidate_progress(self) -> Progress:
        total = len(self._candidates.candidates)
        return Progress(self._candidates.decided, total, total)

    def _suspects(self) -> Progress:
        total = len(self._references.suspects)
        return Progress(len(self._references.decisions), total, total)


def make_app(
    title: str, labels: LabelQueue, references: ReferenceQueue, candidates: CandidateQueue
) -> Starlette:
    """Make the application.

    It answers only to the names of this machine, and takes forms only from its own pages: a page
    of another site can neither read what is labelled nor label anything.

    Args:
        title: Title of the task.
        labels: The answers to label.
        references: The suspect references.
        candidates: Real requests that may become coverage rows.
    """
    return Starlette(
        routes=_Pages(title, labels, references, candidates).routes(),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={_Refused: _refused},
    )


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form that one of these pages sent."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise _Refused(f"the form comes from {origin!r}")
    try:
        pairs = parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True)
    except ValueError as error:
        raise _Refused(f"the form cannot be read: {error}") from error
    form = dict(pairs)
    missing = [name for name in _FORM_FIELDS[request.url.path] if not form.get(name)]
    if missing:
        raise _Refused(f"the form lacks {', '.join(missing)}")
    return form


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"Refused: {error}.", status_code=400, headers=_HEADERS)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status_code=status, headers=_HEADERS)


def _to(path: str, **query: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode(query)}", _SEE_OTHER, headers=_HEADERS)
