"""One evaluation from responses to findings, as plain Python: the executor brings data and a judge.

It loads neither TensorFlow nor TFX.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.errors import UserError
from core.records import ResponseRow, VerdictRow
from core.reports.coverage import SERVICE, TUNED, Findings, Judge
from core.reports.last_look import LastLook
from judging import scorers
from judging.calibration import calibrate
from judging.ceiling import service_responses
from judging.judge import judge
from judging.label_sheet import Sheet
from judging.labels import Label
from judging.last_look import is_sealed, make_last_look
from judging.references import best_scores, closest_first
from judging.report import Previous, make_findings
from judging.requests import JudgedResponse, RequestBuilder
from judging.strict import strict_kind
from judging.verdicts import Judgement, verdict_row
from service_llm.types import Reply, ServiceClient


class Evaluation(NamedTuple):
    """What an evaluation found.

    Attributes:
        rows: The verdict rows of every model, the tuned model's first, without the test split.
        findings: What they say.
        sealed_prompts: Prompts of the test split that were not judged.
        last_look: The test split; None where it was not judged.
        last_rows: Its verdict rows.
        service_replies: The replies that hold the service LLM's own answers.
    """

    rows: tuple[VerdictRow, ...]
    findings: Findings
    sealed_prompts: int = 0
    last_look: LastLook | None = None
    last_rows: tuple[VerdictRow, ...] = ()
    service_replies: tuple[Reply, ...] = ()


def evaluate(
    responses: Mapping[str, Sequence[ResponseRow]],
    llm: ServiceClient,
    builder: RequestBuilder,
    *,
    described: Judge,
    service: ServiceClient | None = None,
    embed: scorers.Embed | None = None,
    labels: Sequence[Label] = (),
    sheet: Sheet | None = None,
    previous: Previous | None = None,
    looks: int = 0,
    round: int = 1,
) -> Evaluation:
    """Judge the responses of several models and decide about the tuned one.

    Args:
        responses: Responses by model; `tuned` is there, baselines may be. Those of the test split
            are judged only where the gate passes, which ends the loop, or with `looks`.
        llm: The judge.
        builder: Makes the requests; its settings rule the evaluation.
        described: The judge as the findings name it.
        service: The service LLM, whose answers are the baseline `service`; None where it judges.
        embed: Turns texts into vectors; None leaves the scorer `embedding` out.
        labels: Human labels to measure the judge with; their responses are judged too.
        sheet: The label sheet, where the labels are one.
        previous: The evaluation to compare with.
        looks: Rounds of a loop that has ended and keeps this one; 0 while it has not.
        round: The round.

    Raises:
        UserError: The gate's split holds no response, or its scorer has no embedding model.
    """
    settings = builder.settings
    service = service or llm
    if embed is None and scorers.needs_embedder(settings.gate.scorer):
        raise UserError(
            f"evaluator.gate.scorer is {settings.gate.scorer!r}, and no embedding model is "
            "configured. Add an `embedder` (provider, model) to the configuration, or choose "
            "another scorer."
        )
    sealed = [row for row in responses[TUNED] if is_sealed(row)]
    opened = dict(responses)
    kind = strict_kind({row.id: row.output for row in opened[TUNED]}.values())
    responses = {
        model: [row for row in rows if not is_sealed(row)] for model, rows in responses.items()
    }
    replies: list[Reply] = []
    if SERVICE in settings.baselines:
        responses[SERVICE], replies = service_responses(responses[TUNED], service, builder)
    responses = {model: list(map(closest_first, rows)) for model, rows in responses.items()}
    of_models = [JudgedResponse.of(row) for rows in responses.values() for row in rows]
    judgements = judge([*of_models, *(label.judged for label in labels)], llm, builder, settings)
    rows = _verdict_rows(responses, judgements, embed)
    calibration = calibrate(labels, judgements) if labels else None
    findings = make_findings(
        rows,
        settings,
        judge=described,
        kind=kind,
        previous=previous,
        calibration=calibration,
        sheet=sheet,
    )
    evaluation = Evaluation(
        tuple(row for verdicts in rows.values() for row in verdicts),
        findings,
        sealed_prompts=len({row.id for row in sealed}),
        service_replies=tuple(replies),
    )
    if not sealed or not (looks or findings.gate.passed):
        return evaluation
    last_rows = _judge_sealed(opened[TUNED], llm, service, builder, embed)
    return evaluation._replace(
        sealed_prompts=0,
        last_look=make_last_look(
            last_rows,
            settings,
            looks=looks or round,
            kind=kind,
            errors=calibration[0] if calibration else None,
            sheet=sheet,
        ),
        last_rows=tuple(row for verdicts in last_rows.values() for row in verdicts),
    )


def _judge_sealed(
    tuned: Sequence[ResponseRow],
    llm: ServiceClient,
    service: ServiceClient,
    builder: RequestBuilder,
    embed: scorers.Embed | None,
) -> dict[str, list[VerdictRow]]:
    """Judge the tuned model and the service LLM on the test split."""
    responses: dict[str, Sequence[ResponseRow]] = {TUNED: tuned}
    if SERVICE in builder.settings.baselines:
        # Of all rows, since the seeds among them are its examples: its other answers are journaled.
        responses[SERVICE] = service_responses(tuned, service, builder).rows
    responses = {
        model: [closest_first(row) for row in rows if is_sealed(row)]
        for model, rows in responses.items()
    }
    judged = [JudgedResponse.of(row) for rows in responses.values() for row in rows]
    return _verdict_rows(responses, judge(judged, llm, builder, builder.settings), embed)


def _verdict_rows(
    responses: Mapping[str, Sequence[ResponseRow]],
    judgements: Mapping[JudgedResponse, Judgement],
    embed: scorers.Embed | None,
) -> dict[str, list[VerdictRow]]:
    pairs = sorted(
        {
            (answer, row.response)
            for rows in responses.values()
            for row in rows
            for answer in (row.output, *row.references)
        }
    )
    scores = dict(zip(pairs, scorers.score_all(pairs, embed), strict=True))
    return {
        model: [
            verdict_row(model, row, judgements[JudgedResponse.of(row)], best_scores(row, scores))
            for row in rows
        ]
        for model, rows in responses.items()
    }
