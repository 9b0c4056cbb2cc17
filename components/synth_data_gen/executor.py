"""Runs SynthDataGen on artifacts and URIs; the plain Python beside it does the work."""

import dataclasses
import importlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.errors import UserError
from components.examples_io import read_coverage, read_examples, write_examples
from components.jsonl import damaged
from components.records import SEED_SPLIT, CoverageRow
from components.service_llm.client import ServiceLLM, open_service_llm
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Usage
from components.synth_data_gen import aim, templates
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.attributes import read_attributes, write_attributes
from components.synth_data_gen.filters import Embed, PromptFilter
from components.synth_data_gen.generate import Generation, generate, propose_attributes
from components.synth_data_gen.overview import make_overview
from components.synth_data_gen.pages import render_card, render_page
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import SPLITS, SyntheticRow, row_of, split_rows
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from components.synth_data_gen.validate import infer_form
from components.task import Task

COMPONENT = "SynthDataGen"
COVERAGE_KEY = "coverage"
SYNTHETIC_KEY = "synthetic"
SERVICE_LLM_KEY = "service_llm"
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


class _Outcome(NamedTuple):
    generation: Generation
    attributes: AttributeSets
    weights: dict[str, float]
    usage: Usage


class Executor(BaseExecutor):
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
        coverage = read_coverage(artifact_utils.get_single_uri(input_dict[COVERAGE_KEY]))
        seeds = [row for row in coverage if row.split == SEED_SPLIT]
        synthetic = artifact_utils.get_single_instance(output_dict[SYNTHETIC_KEY])
        settings = SynthSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        llm_settings = ServiceLLMSettings.model_validate_json(exec_properties[SERVICE_LLM_KEY])
        task = Task.model_validate_json(exec_properties[TASK_KEY])
        number = int(exec_properties[ROUND_KEY])
        history = _read_history(exec_properties.get(HISTORY_URI_KEY) or "")
        with open_service_llm(
            llm_settings,
            journal_uri=exec_properties[JOURNAL_URI_KEY],
            component=COMPONENT,
            round=number,
        ) as service:
            outcome = _run_round(
                service,
                RequestBuilder(task, settings, service.salt(), seeds),
                coverage,
                history=history,
                exec_properties=exec_properties,
            )
        shared = _shared_provenance(llm_settings, exec_properties.get(CODE_VERSION_KEY) or "")
        new = [row_of(kept, round=number, provenance=shared) for kept in outcome.generation.kept]
        splits = split_rows(history, new, settings.eval_fraction)
        rows = {split: [row.features() for row in splits[split]] for split in SPLITS}
        write_examples(synthetic, rows, span=number)
        summary = _summary(number, outcome, splits, shared, llm_settings)
        _write_beside(synthetic.uri, outcome, summary)
        overview = make_overview(
            [row for split in SPLITS for row in splits[split]],
            outcome.generation.dropped,
            summary,
            task.name,
        )
        _write(synthetic.uri, {CARD_FILE: render_card(overview), PAGE_FILE: render_page(overview)})
        synthetic.set_int_custom_property("total_rows", summary["total_rows"])


def _run_round(
    service: ServiceLLM,
    builder: RequestBuilder,
    coverage: Sequence[CoverageRow],
    *,
    history: Mapping[str, Sequence[SyntheticRow]],
    exec_properties: Mapping[str, Any],
) -> _Outcome:
    """The generator sees the seeds; the holdout goes to the filter that compares with it."""
    settings = builder.settings
    attributes = (
        settings.attributes
        or _read_attributes(exec_properties.get(HISTORY_URI_KEY) or "")
        or propose_attributes(service, builder)
    )
    weights = _weights(builder.seeds, settings, exec_properties.get(REPORT_URI_KEY) or "")
    earlier = [row.prompt for rows in history.values() for row in rows]
    generation = generate(
        service,
        builder,
        PromptFilter(coverage, earlier, settings, _load_embed(settings.embed_fn)),
        Answerer(service, builder, infer_form([seed.output for seed in builder.seeds])),
        weights=weights,
        attributes=attributes,
        round=int(exec_properties[ROUND_KEY]),
    )
    return _Outcome(generation, attributes, weights, service.usage())


def _read_history(uri: str) -> dict[str, list[SyntheticRow]]:
    if not uri:
        return {}
    return {
        split: [SyntheticRow.from_features(row) for row in read_examples(uri, split)]
        for split in SPLITS
    }


def _read_attributes(history_uri: str) -> AttributeSets | None:
    path = os.path.join(history_uri, ATTRIBUTES_FILE)
    if not history_uri or not fileio.exists(path):
        return None
    return read_attributes(_read(path), path)


def _weights(
    seeds: Sequence[CoverageRow], settings: SynthSettings, report_uri: str
) -> dict[str, float]:
    if not settings.aim or not report_uri:
        return aim.uniform_weights(seeds)
    path = os.path.join(report_uri, VERDICTS_FILE)
    if not fileio.exists(path):
        raise UserError(f"No {path!r}. Give the URI of a CoverageReport, or set `aim` to false.")
    verdicts = aim.read_verdicts(_read(path), path)
    return aim.aimed_weights(seeds, verdicts, settings.aim_floor)


def _load_embed(path: str) -> Embed | None:
    if not path:
        return None
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"embed_fn {path!r} cannot be loaded ({error}). Give the dotted path of a function"
            " that turns a list of texts into a list of vectors, or leave it empty."
        ) from error


def _shared_provenance(llm: ServiceLLMSettings, code_version: str) -> dict[str, Any]:
    return {
        "generator": {"provider": llm.provider, "model": llm.model, "code_version": code_version},
        "prompt_versions": dict(templates.VERSIONS),
    }


def _summary(
    number: int,
    outcome: _Outcome,
    splits: Mapping[str, Sequence[SyntheticRow]],
    shared: Mapping[str, Any],
    llm: ServiceLLMSettings,
) -> dict[str, Any]:
    generation = outcome.generation
    rounds = Counter(row.round for rows in splits.values() for row in rows)
    return {
        "round": number,
        "requested": generation.requested,
        "generated": generation.generated,
        "kept": len(generation.kept),
        "surplus": generation.surplus,
        "dropped": generation.dropped_counts(),
        "total_rows": rounds.total(),
        **{f"{split}_rows": len(splits[split]) for split in SPLITS},
        "rows_by_round": {str(key): count for key, count in sorted(rounds.items())},
        "seed_weights": {seed_id: float(f"{w:.3f}") for seed_id, w in outcome.weights.items()},
        "usage": dataclasses.asdict(outcome.usage),
        "generator": {
            "provider": llm.provider,
            "model": llm.model,
            "prompt_versions": shared["prompt_versions"],
        },
        "stand_in": llm.model.startswith("stand-in"),
    }


def _write_beside(uri: str, outcome: _Outcome, summary: Mapping[str, Any]) -> None:
    quarantine = "".join(f"{dropped.to_json()}\n" for dropped in outcome.generation.dropped)
    files = {
        ATTRIBUTES_FILE: write_attributes(outcome.attributes),
        QUARANTINE_FILE: quarantine,
        SUMMARY_FILE: json.dumps(summary, indent=2, ensure_ascii=False) + "\n",
    }
    _write(uri, files)


def _read(path: str) -> str:
    with fileio.open(path, "rb") as file:
        content: bytes = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, error) from error


def _write(uri: str, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        with fileio.open(os.path.join(uri, name), "w") as file:
            file.write(text)
