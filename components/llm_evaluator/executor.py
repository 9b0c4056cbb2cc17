"""LLMEvaluator's executor: reads responses, writes report, verdicts and blessing."""

import os
from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components.asking import open_services
from core import artifact_files
from core.errors import UserError
from core.jsonl import read_rows
from core.records import ResponseRow, VerdictRow
from core.reports.coverage import BASE, FEW_SHOT, TUNED, CoverageReport, Gate
from core.reports.operation import GenerationTimes, OwnAnswers
from core.storage import exists, read_text, write_text
from judging.evaluate import Evaluation, evaluate
from judging.label_sheet import is_sheet, read_sheet
from judging.labels import read_labels
from judging.report import Previous, describe_judge
from judging.requests import RequestBuilder
from judging.service_or_own import service_answers
from judging.settings import EvaluatorSettings
from reports.evaluation_page.page import render_evaluation
from reports.links import run_page_from
from task.task import Task

COMPONENT = "LLMEvaluator"
RESPONSES_KEY = "responses"
BASE_RESPONSES_KEY = "base_responses"
FEW_SHOT_RESPONSES_KEY = "few_shot_responses"
REPORT_KEY = "report"
BLESSING_KEY = "blessing"

INPUTS = {
    TUNED: RESPONSES_KEY,
    BASE: BASE_RESPONSES_KEY,
    FEW_SHOT: FEW_SHOT_RESPONSES_KEY,
}


class Executor(BaseExecutor):
    """Judges responses and blesses the model that passes the gate."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate one round.

        Args:
            input_dict: `responses`: Responses of the tuned model; `base_responses` and
                `few_shot_responses`: of the untuned one, either may be absent.
            output_dict: `report`: CoverageReport; `blessing`: ModelBlessing.
            exec_properties: The parameters of `LLMEvaluator`.

        Raises:
            UserError: An input cannot be used, or the service LLM fails. What it has answered is in
                the journal, so running again pays only for the rest.
        """
        settings = EvaluatorSettings.model_validate_json(exec_properties["settings"])
        task = Task.model_validate_json(exec_properties["task"])
        wanted = (TUNED, *settings.baselines)
        responses = {
            model: _read_responses(input_dict[key])
            for model, key in INPUTS.items()
            if model in wanted and input_dict.get(key)
        }
        uri = settings.labels_uri
        text = read_text(uri) if uri else ""
        labels = read_labels(text, uri) if uri else []
        sheet = read_sheet(text, uri) if is_sheet(text) else None
        previous = _read_previous(exec_properties.get("report_uri") or "")
        with open_services(exec_properties, COMPONENT) as services:
            judge = services.judge_settings or services.settings
            evaluation = evaluate(
                responses,
                services.judge or services.llm,
                RequestBuilder(task, settings, services.llm.salt()),
                described=describe_judge(judge.provider, judge.model, settings),
                service=services.llm,
                embed=services.embed,
                labels=labels,
                sheet=sheet,
                previous=previous,
                looks=int(exec_properties.get("looks") or 0),
                round=int(exec_properties["round"]),
            )
            used = services.used()
        report = CoverageReport(
            **dict(evaluation.findings),
            task=task.name,
            round=int(exec_properties["round"]),
            sealed_prompts=evaluation.sealed_prompts,
            last_look=evaluation.last_look,
            service_answers=service_answers(evaluation.service_replies, services.settings),
            own_answers=_read_times(input_dict[RESPONSES_KEY]),
            **used._asdict(),
        )
        artifact = artifact_utils.get_single_instance(output_dict[REPORT_KEY])
        _write_report(artifact, report, evaluation)
        _write_blessing(artifact_utils.get_single_instance(output_dict[BLESSING_KEY]), report.gate)


def _read_responses(artifacts: list[Artifact]) -> list[ResponseRow]:
    path = os.path.join(artifact_utils.get_single_uri(artifacts), artifact_files.RESPONSES)
    rows = read_rows(read_text(path), path, ResponseRow.from_json)
    if not rows:
        raise UserError(
            f"{path!r} contains no responses. Check the coverage dataset and ResponseGen."
        )
    return rows


def _read_times(artifacts: list[Artifact]) -> OwnAnswers | None:
    path = os.path.join(artifact_utils.get_single_uri(artifacts), artifact_files.GENERATION_TIMES)
    return OwnAnswers.of(GenerationTimes.read(path)) if exists(path) else None


def _read_previous(uri: str) -> Previous | None:
    if not uri:
        return None
    path = os.path.join(uri, artifact_files.COVERAGE_REPORT)
    report = CoverageReport.read(path)
    path = os.path.join(uri, artifact_files.VERDICTS)
    rows = read_rows(read_text(path), path, VerdictRow.from_json)
    return Previous(report.round, report.judge, [row for row in rows if row.model == TUNED])


def _write_report(artifact: Artifact, report: CoverageReport, evaluation: Evaluation) -> None:
    write_text(f"{artifact.uri}/{artifact_files.COVERAGE_REPORT}", report.to_json())
    _write_verdicts(f"{artifact.uri}/{artifact_files.VERDICTS}", evaluation.rows)
    if evaluation.last_look:
        _write_verdicts(f"{artifact.uri}/{artifact_files.TEST_VERDICTS}", evaluation.last_rows)
    shown = (*evaluation.rows, *evaluation.last_rows)
    page = render_evaluation(report, shown, run_page=run_page_from(artifact.uri))
    write_text(f"{artifact.uri}/{artifact_files.EVALUATION_PAGE}", page)
    artifact.coverage_rate = report.gate.rate.rate_percent
    artifact.round = report.round


def _write_verdicts(uri: str, rows: Sequence[VerdictRow]) -> None:
    write_text(uri, "".join(f"{row.to_json()}\n" for row in rows))


def _write_blessing(artifact: Artifact, gate: Gate) -> None:
    name = artifact_files.BLESSED if gate.passed else artifact_files.NOT_BLESSED
    write_text(f"{artifact.uri}/{name}", "")
    artifact.set_int_custom_property("blessed", int(gate.passed))
    artifact.set_string_custom_property("reasons", "\n".join(gate.reasons))
