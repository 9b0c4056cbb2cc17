"""LLMEvaluator's executor: reads responses, writes report, verdicts and blessing."""

import dataclasses
import json
import os
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.errors import UserError
from components.jsonl import damaged, read_rows
from components.llm_evaluator.evaluate import Evaluation, Previous, evaluate
from components.llm_evaluator.gate import GateDecision
from components.llm_evaluator.labels import Label, read_labels
from components.llm_evaluator.page.render import render_evaluation
from components.llm_evaluator.report import BASE, FEW_SHOT, TUNED, judge_section
from components.llm_evaluator.requests import RequestBuilder
from components.llm_evaluator.settings import EvaluatorSettings
from components.llm_evaluator.verdicts import VerdictRow
from components.records import ResponseRow
from components.service_llm.client import open_service_llm
from components.service_llm.embedding import open_embedder, read_embedder, usage_of
from components.service_llm.settings import ServiceLLMSettings
from components.task import Task

COMPONENT = "LLMEvaluator"
RESPONSES_KEY = "responses"
BASE_RESPONSES_KEY = "base_responses"
FEW_SHOT_RESPONSES_KEY = "few_shot_responses"
REPORT_KEY = "report"
BLESSING_KEY = "blessing"

RESPONSES_FILE = "responses.jsonl"
REPORT_FILE = "coverage_report.json"
VERDICTS_FILE = "verdicts.jsonl"
PAGE_FILE = "evaluation.html"

INPUTS = {
    TUNED: RESPONSES_KEY,
    BASE: BASE_RESPONSES_KEY,
    FEW_SHOT: FEW_SHOT_RESPONSES_KEY,
}

_STAND_IN = "stand-in"


class Executor(BaseExecutor):
    """Judges responses and blesses the model that passes the gate."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates one round.

        Args:
            input_dict: `responses`: Responses of the tuned model; `base_responses` and
                `few_shot_responses`: of the untuned one, either may be absent.
            output_dict: `report`: CoverageReport; `blessing`: ModelBlessing.
            exec_properties: The parameters of `LLMEvaluator`.

        Raises:
            UserError: An input cannot be used, or the service LLM cannot go on. What it has
                answered is in the journal, so running again pays only for the rest.
        """
        settings = EvaluatorSettings.model_validate_json(exec_properties["settings"])
        llm_settings = ServiceLLMSettings.model_validate_json(exec_properties["service_llm"])
        task = Task.model_validate_json(exec_properties["task"])
        number = int(exec_properties["round"])
        wanted = (TUNED, *settings.baselines)
        responses = {
            model: _read_responses(input_dict[key])
            for model, key in INPUTS.items()
            if model in wanted and input_dict.get(key)
        }
        labels = _read_labels(settings.labels_uri)
        previous = _read_previous(exec_properties.get("report_uri") or "")
        embedder = read_embedder(exec_properties.get("embedder"))
        where = {
            "journal_uri": exec_properties["journal_uri"],
            "component": COMPONENT,
            "round": number,
        }
        with (
            open_service_llm(llm_settings, **where) as llm,
            open_embedder(embedder, **where) as embed,
        ):
            evaluation = evaluate(
                responses,
                llm,
                RequestBuilder(task, settings, llm.salt()),
                judge_section=judge_section(llm_settings.provider, llm_settings.model, settings),
                embed=embed,
                labels=labels,
                previous=previous,
            )
            usage, embedding_usage = llm.usage(), usage_of(embed)
        report = {
            "task": task.name,
            "round": number,
            **evaluation.report,
            "usage": dataclasses.asdict(usage + embedding_usage),
            "embedding_usage": dataclasses.asdict(embedding_usage),
            "embedding_model": embedder.model if embedder else None,
            "stand_in": llm_settings.model.startswith(_STAND_IN),
        }
        _write_report(
            artifact_utils.get_single_instance(output_dict[REPORT_KEY]), evaluation, report
        )
        _write_blessing(
            artifact_utils.get_single_instance(output_dict[BLESSING_KEY]), evaluation.decision
        )


def _read_responses(artifacts: list[Any]) -> list[ResponseRow]:
    path = os.path.join(artifact_utils.get_single_uri(artifacts), RESPONSES_FILE)
    rows = read_rows(_read(path), path, ResponseRow.from_json)
    if not rows:
        raise UserError(f"{path!r} holds no response. Check the coverage dataset and ResponseGen.")
    return rows


def _read_labels(uri: str) -> list[Label]:
    return read_labels(_read(uri), uri) if uri else []


def _read_previous(uri: str) -> Previous | None:
    if not uri:
        return None
    path = os.path.join(uri, REPORT_FILE)
    try:
        report = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    path = os.path.join(uri, VERDICTS_FILE)
    rows = read_rows(_read(path), path, VerdictRow.from_json)
    return Previous(report, [row for row in rows if row.model == TUNED])


def _read(path: str) -> str:
    if not fileio.exists(path):
        raise UserError(f"There is no file {path!r}. Check the path, and the run that wrote it.")
    with fileio.open(path, "rb") as stream:
        content: bytes = stream.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path!r} is not UTF-8: {error}. Save it as UTF-8.") from error


def _write_report(artifact: Any, evaluation: Evaluation, report: dict[str, Any]) -> None:
    _write(artifact.uri, REPORT_FILE, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    lines = "".join(f"{row.to_json()}\n" for row in evaluation.rows)
    _write(artifact.uri, VERDICTS_FILE, lines)
    _write(artifact.uri, PAGE_FILE, render_evaluation(report, evaluation.rows))
    artifact.coverage_rate = evaluation.decision.rate_percent
    artifact.round = report["round"]


def _write_blessing(artifact: Any, decision: GateDecision) -> None:
    _write(artifact.uri, "BLESSED" if decision.passed else "NOT_BLESSED", "")
    artifact.set_int_custom_property("blessed", int(decision.passed))
    artifact.set_string_custom_property("reasons", "\n".join(decision.reasons))


def _write(uri: str, name: str, content: str) -> None:
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, name), "wb") as stream:
        stream.write(content.encode())
