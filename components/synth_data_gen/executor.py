"""Runs SynthDataGen on artifacts and URIs; the plain Python beside it does the work."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.errors import UserError
from components.examples_beam import Split, read_shards, write_splits
from components.examples_io import coverage_row, shards
from components.jsonl import damaged
from components.records import COVERAGE_SPLITS, SEED_SPLIT, CoverageRow
from components.service_llm.client import open_service_llm
from components.service_llm.embedding import open_embedder, read_embedder, usage_of
from components.service_llm.settings import ServiceLLMSettings
from components.synth_data_gen.aim import Verdict, read_verdicts
from components.synth_data_gen.attributes import read_attributes, write_attributes
from components.synth_data_gen.one_round import Before, Outcome, run_round
from components.synth_data_gen.overview import make_overview
from components.synth_data_gen.pages import render_card, render_page
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import SPLITS, SyntheticRow, row_of, split_rows
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from components.synth_data_gen.summary import shared_provenance, summarize
from components.task import Task

COMPONENT = "SynthDataGen"
COVERAGE_KEY = "coverage"
SYNTHETIC_KEY = "synthetic"
SERVICE_LLM_KEY = "service_llm"
EMBEDDER_KEY = "embedder"
SETTINGS_KEY = "settings"
TASK_KEY = "task"
JOURNAL_URI_KEY = "journal_uri"
ROUND_KEY = "round"
HISTORY_URI_KEY = "history_uri"
REPORT_URI_KEY = "report_uri"
CODE_VERSION_KEY = "code_version"

ATTRIBUTES_FILE = "attributes.yaml"
QUARANTINE_FILE = "quarantine.jsonl"
SUMMARY_FILE = "synthesis.json"
CARD_FILE = "README.md"
PAGE_FILE = "index.html"
VERDICTS_FILE = "verdicts.jsonl"
_SCRATCH = ".decoded"


class Executor(BaseBeamExecutor):
    """Adds one round of synthetic rows to those of the rounds before."""

    def Do(  # noqa: N802  # TFX's name
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Generates a round and writes the cumulative Examples.

        Args:
            input_dict: `coverage`: Examples with splits `seed` and `holdout`.
            output_dict: `synthetic`: Examples to be filled, splits `train` and `eval`.
            exec_properties: The parameters of `SynthDataGen`.

        Raises:
            UserError: Settings, service or data do not allow a round; the message says which.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        synthetic = artifact_utils.get_single_instance(output_dict[SYNTHETIC_KEY])
        settings = SynthSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        llm = ServiceLLMSettings.model_validate_json(exec_properties[SERVICE_LLM_KEY])
        embedder = read_embedder(exec_properties.get(EMBEDDER_KEY))
        task = Task.model_validate_json(exec_properties[TASK_KEY])
        number = int(exec_properties[ROUND_KEY])
        history_uri = exec_properties.get(HISTORY_URI_KEY) or ""
        coverage, history = self._read_rows(
            artifact_utils.get_single_uri(input_dict[COVERAGE_KEY]), history_uri, synthetic.uri
        )
        where = {
            "journal_uri": exec_properties[JOURNAL_URI_KEY],
            "component": COMPONENT,
            "round": number,
        }
        with open_service_llm(llm, **where) as service, open_embedder(embedder, **where) as embed:
            outcome = run_round(
                service,
                RequestBuilder(
                    task, settings, service.salt(), [r for r in coverage if r.split == SEED_SPLIT]
                ),
                Before(
                    coverage,
                    [row.prompt for rows in history.values() for row in rows],
                    _read_attributes(history_uri),
                    _read_verdicts(settings, exec_properties.get(REPORT_URI_KEY) or ""),
                ),
                embed=embed,
                round=number,
            )
            usage, embedding_usage = service.usage(), usage_of(embed)
        shared = shared_provenance(llm, settings, exec_properties.get(CODE_VERSION_KEY) or "")
        new = [row_of(kept, round=number, provenance=shared) for kept in outcome.generation.kept]
        splits = split_rows(history, new, settings.eval_fraction)
        self._write(synthetic, history_uri, history, splits, span=number)
        summary = summarize(
            outcome,
            splits,
            round=number,
            llm=llm,
            embedder=embedder,
            prompt_versions=shared["prompt_versions"],
            usage=usage,
            embedding_usage=embedding_usage,
        )
        _write_beside(synthetic.uri, outcome, splits, summary, task.name)
        synthetic.set_int_custom_property("total_rows", summary["total_rows"])

    def _read_rows(
        self, coverage_uri: str, history_uri: str, scratch: str
    ) -> tuple[list[CoverageRow], dict[str, list[SyntheticRow]]]:
        """The coverage dataset, and the synthetic rows of the rounds before by split."""
        sources = [(coverage_uri, split) for split in COVERAGE_SPLITS]
        if history_uri:
            sources += [(history_uri, split) for split in SPLITS]
        files = [(split, shard) for uri, split in sources for shard in shards(uri, split)]
        found = read_shards(
            self._make_beam_pipeline,
            [shard for _, shard in files],
            os.path.join(scratch, _SCRATCH),
        )
        rows: dict[str, list[dict[str, Any]]] = {split: [] for _, split in sources}
        for (split, _), of_shard in zip(files, found, strict=True):
            rows[split] += of_shard
        coverage = [coverage_row(row, split) for split in COVERAGE_SPLITS for row in rows[split]]
        history = {split: rows[split] for split in SPLITS if split in rows}
        return coverage, {
            split: [SyntheticRow.from_features(row) for row in of_split]
            for split, of_split in history.items()
        }

    def _write(
        self,
        synthetic: Any,
        history_uri: str,
        history: Mapping[str, Sequence[SyntheticRow]],
        splits: Mapping[str, Sequence[SyntheticRow]],
        *,
        span: int,
    ) -> None:
        parts = {
            split: Split(
                shards(history_uri, split) if history_uri else [],
                [row.features() for row in rows[len(history.get(split, ())) :]],
            )
            for split, rows in splits.items()
        }
        write_splits(self._make_beam_pipeline, synthetic, parts, span)


def _read_attributes(history_uri: str) -> AttributeSets | None:
    path = os.path.join(history_uri, ATTRIBUTES_FILE)
    if not history_uri or not fileio.exists(path):
        return None
    return read_attributes(_read(path), path)


def _read_verdicts(settings: SynthSettings, report_uri: str) -> list[Verdict] | None:
    if not settings.aim or not report_uri:
        return None
    path = os.path.join(report_uri, VERDICTS_FILE)
    if not fileio.exists(path):
        raise UserError(f"No {path!r}. Give the URI of a CoverageReport, or set `aim` to false.")
    return read_verdicts(_read(path), path)


def _write_beside(
    uri: str,
    outcome: Outcome,
    splits: Mapping[str, Sequence[SyntheticRow]],
    summary: Mapping[str, Any],
    task_name: str,
) -> None:
    overview = make_overview(
        [row for split in SPLITS for row in splits[split]],
        outcome.generation.dropped,
        summary,
        task_name,
    )
    files = {
        ATTRIBUTES_FILE: write_attributes(outcome.attributes),
        QUARANTINE_FILE: "".join(f"{d.to_json()}\n" for d in outcome.generation.dropped),
        SUMMARY_FILE: json.dumps(summary, indent=2, ensure_ascii=False) + "\n",
        CARD_FILE: render_card(overview),
        PAGE_FILE: render_page(overview),
    }
    for name, text in files.items():
        with fileio.open(os.path.join(uri, name), "w") as file:
            file.write(text)


def _read(path: str) -> str:
    with fileio.open(path, "rb") as file:
        content: bytes = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, error) from error
