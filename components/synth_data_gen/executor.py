"""SynthDataGen's executor: artifacts in and out; the plain Python next to it does the work."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components.asking import open_services
from components.examples_beam import Split, read_shards, write_splits
from components.examples_io import Features, coverage_row, coverage_splits, shards
from components.synth_data_gen.aim import verdicts_on_seeds
from components.synth_data_gen.attributes import read_attributes, write_attributes
from components.synth_data_gen.edits import apply_edits
from components.synth_data_gen.figures import draw_samples, pick_dropped
from components.synth_data_gen.filters.decontaminate import leak_finder
from components.synth_data_gen.one_round import RoundInputs, run_round
from components.synth_data_gen.prompt_map import map_prompts
from components.synth_data_gen.record import edited_record, make_record
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import logged_row_of, row_of, split_rows
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from components.synth_data_gen.templates import versions
from core import artifact_files
from core.conversation import has_turns
from core.errors import UserError
from core.jsonl import read_rows
from core.records import (
    COVERAGE_SPLITS,
    LOGGED_SPLIT,
    SEED_SPLIT,
    CoverageRow,
    VerdictRow,
)
from core.reports.coverage import TUNED
from core.reports.synthesis import SynthesisRecord
from core.storage import exists, read_text, write_text
from core.synthetic_records import (
    SYNTHETIC_SPLITS,
    TRAIN_SPLIT,
    Dropped,
    RowGenerator,
    SyntheticRow,
)
from reports.cards.dataset_card import render_card
from reports.dataset_page.page import render_page
from reports.links import run_page_from
from task.privacy import PrivacySettings
from task.task import Task

COMPONENT = "SynthDataGen"
COVERAGE_KEY = "coverage"
SYNTHETIC_KEY = "synthetic"

_SCRATCH = ".decoded"


class Executor(BaseBeamExecutor):
    """Add one round of synthetic rows to those of earlier rounds."""

    def Do(  # noqa: N802  # TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Generate a round and write the cumulative Examples.

        Args:
            input_dict: `coverage`: Examples with splits `seed` and `holdout`.
            output_dict: `synthetic`: Examples to be filled, splits `train` and `eval`.
            exec_properties: The parameters of `SynthDataGen`.

        Raises:
            UserError: Settings, service or data do not allow a round; the message says which.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        synthetic = artifact_utils.get_single_instance(output_dict[SYNTHETIC_KEY])
        settings = SynthSettings.model_validate_json(exec_properties["settings"])
        task = Task.model_validate_json(exec_properties["task"])
        number = int(exec_properties["round"])
        history_uri = exec_properties.get("history_uri") or ""
        if exec_properties.get("edits_uri"):
            self._apply_edits(input_dict, synthetic, exec_properties, settings)
            return
        rows, history = self._read_rows(
            artifact_utils.get_single_uri(input_dict[COVERAGE_KEY]),
            history_uri,
            synthetic.uri,
            # Later rounds have them in their history.
            with_logged=settings.train_on_rest and not history_uri,
        )
        coverage = [row for row in rows if row.split in COVERAGE_SPLITS]
        seeds = [row for row in rows if row.split == SEED_SPLIT]
        verdicts = _read_verdicts(exec_properties.get("report_uri") or "", is_needed=settings.aim)
        with open_services(exec_properties, COMPONENT) as services:
            outcome = run_round(
                services.llm,
                RequestBuilder(
                    task,
                    settings,
                    services.llm.salt(),
                    seeds,
                    services.settings.max_reply_tokens,
                ),
                RoundInputs(
                    coverage,
                    prompts=[row.prompt for of_split in history.values() for row in of_split],
                    outputs=[row.output for of_split in history.values() for row in of_split],
                    logged=[row for row in rows if row.split == LOGGED_SPLIT],
                    attributes=_read_attributes(history_uri),
                    verdicts=None if verdicts is None else verdicts_on_seeds(verdicts),
                ),
                embed=services.embed,
                judge=services.judge if settings.leak_judge else None,
                round=number,
            )
            used = services.used()
        generator = RowGenerator(
            provider=services.settings.provider,
            model=services.settings.model,
            code_version=exec_properties.get("code_version") or "",
        )
        prompt_versions = versions(
            settings, conversations=any(has_turns(seed.prompt) for seed in seeds)
        )
        new = [
            *(logged_row_of(kept, round=number) for kept in outcome.logged.kept),
            *(
                row_of(kept, round=number, generator=generator, prompt_versions=prompt_versions)
                for kept in outcome.generation.kept
            ),
        ]
        splits = split_rows(history, new, settings.eval_fraction)
        self._write(synthetic, history_uri, history, splits, span=number)
        record = make_record(
            outcome,
            splits,
            coverage=coverage,
            task=task.name,
            round=number,
            generator=generator,
            prompt_versions=prompt_versions,
            used=used,
        )
        _write_files(
            synthetic.uri,
            outcome.dropped,
            splits,
            record,
            coverage,
            outcomes=_outcomes(verdicts or ()),
        )
        if outcome.attributes is not None:
            text = write_attributes(outcome.attributes)
            write_text(f"{synthetic.uri}/{artifact_files.ATTRIBUTES}", text)
        synthetic.set_int_custom_property("total_rows", record.total_rows)

    def _apply_edits(
        self,
        input_dict: dict[str, list[Artifact]],
        synthetic: Artifact,
        exec_properties: dict[str, Any],
        settings: SynthSettings,
    ) -> None:
        """Write the rows that were generated before the pause, as a person has left them."""
        number = int(exec_properties["round"])
        paused_uri, edits_uri = exec_properties["paused_uri"], exec_properties["edits_uri"]
        history_uri = exec_properties.get("history_uri") or ""
        coverage, rows = self._read_rows(
            artifact_utils.get_single_uri(input_dict[COVERAGE_KEY]),
            paused_uri,
            synthetic.uri,
            with_logged=False,
        )
        history = {
            split: [row for row in of_split if row.round < number]
            for split, of_split in rows.items()
        }
        edited = apply_edits(
            {s: [row for row in of_split if row.round == number] for s, of_split in rows.items()},
            history,
            read_text(edits_uri),
            source=edits_uri,
            round=number,
            eval_fraction=settings.eval_fraction,
            leak=leak_finder(coverage, settings.leak_similarity),
            privacy=PrivacySettings.model_validate_json(exec_properties.get("privacy") or "{}"),
        )
        splits = {s: [*history.get(s, ()), *of_split] for s, of_split in edited.splits.items()}
        self._write(synthetic, history_uri, history if history_uri else {}, splits, span=number)
        path = os.path.join(paused_uri, artifact_files.QUARANTINE)
        dropped = read_rows(read_text(path), path, Dropped.from_json)
        before = SynthesisRecord.read(f"{paused_uri}/{artifact_files.SYNTHESIS}")
        record = edited_record(before, edited.counts, splits, dropped=dropped, coverage=coverage)
        verdicts = _read_verdicts(exec_properties.get("report_uri") or "", is_needed=False)
        _write_files(
            synthetic.uri, dropped, splits, record, coverage, outcomes=_outcomes(verdicts or ())
        )
        if (attributes := _read_attributes(paused_uri)) is not None:
            text = write_attributes(attributes)
            write_text(f"{synthetic.uri}/{artifact_files.ATTRIBUTES}", text)
        synthetic.set_int_custom_property("total_rows", record.total_rows)

    def _read_rows(
        self, coverage_uri: str, history_uri: str, scratch: str, *, with_logged: bool
    ) -> tuple[list[CoverageRow], dict[str, list[SyntheticRow]]]:
        """Read coverage rows, logged ones on request, and the rows of earlier rounds by split."""
        read = (*coverage_splits(coverage_uri), *([LOGGED_SPLIT] if with_logged else []))
        if with_logged:
            _require_logged(coverage_uri)
        sources = [(coverage_uri, split) for split in read]
        if history_uri:
            sources += [(history_uri, split) for split in SYNTHETIC_SPLITS]
        files = [(split, shard) for uri, split in sources for shard in shards(uri, split)]
        found = read_shards(
            self._make_beam_pipeline,
            [shard for _, shard in files],
            os.path.join(scratch, _SCRATCH),
        )
        rows: dict[str, list[Features]] = {split: [] for _, split in sources}
        for (split, _), of_shard in zip(files, found, strict=True):
            rows[split] += of_shard
        coverage = [coverage_row(row, split) for split in read for row in rows[split]]
        history = {split: rows[split] for split in SYNTHETIC_SPLITS if split in rows}
        return coverage, {
            split: [SyntheticRow.from_features(row) for row in of_split]
            for split, of_split in history.items()
        }

    def _write(
        self,
        synthetic: Artifact,
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


def _require_logged(coverage_uri: str) -> None:
    if not exists(os.path.join(coverage_uri, f"Split-{LOGGED_SPLIT}")):
        raise UserError(
            "synth.train_on_rest is set, but there are no logged exchanges next to the coverage "
            "dataset (train_on_rest.jsonl). Write them with init --train-on-rest, or set it to "
            "false."
        )


def _read_attributes(history_uri: str) -> AttributeSets | None:
    path = os.path.join(history_uri, artifact_files.ATTRIBUTES)
    if not history_uri or not exists(path):
        return None
    return read_attributes(read_text(path), path)


def _read_verdicts(report_uri: str, *, is_needed: bool) -> list[VerdictRow] | None:
    """Return the verdicts of the last evaluation; None where there is none."""
    path = os.path.join(report_uri, artifact_files.VERDICTS)
    if not report_uri or not (is_needed or exists(path)):
        return None
    remedy = "Give the URI of a CoverageReport, or set `aim` to false."
    return read_rows(read_text(path, remedy), path, VerdictRow.from_json)


def _outcomes(verdicts: Iterable[VerdictRow]) -> dict[str, bool]:
    """Return which coverage rows the last evaluation counts as covered, for the page alone."""
    found: dict[str, bool] = {}
    for row in verdicts:
        if row.model == TUNED and row.scored:
            found[row.id] = row.covered and found.get(row.id, True)  # all samples are
    return found


def _write_files(
    uri: str,
    dropped: Sequence[Dropped],
    splits: Mapping[str, Sequence[SyntheticRow]],
    record: SynthesisRecord,
    coverage: Sequence[CoverageRow],
    *,
    outcomes: Mapping[str, bool],
) -> None:
    rows = [row for split in SYNTHETIC_SPLITS for row in splits[split]]
    samples = draw_samples(rows, record.round)
    files = {
        artifact_files.QUARANTINE: "".join(f"{entry.to_json()}\n" for entry in dropped),
        artifact_files.SYNTHESIS: record.to_json(),
        artifact_files.CARD: render_card(record, samples),
        artifact_files.DATASET_PAGE: render_page(
            record,
            samples,
            pick_dropped(dropped),
            {row.id: row.prompt for row in coverage},
            map_prompts(splits[TRAIN_SPLIT], coverage, outcomes, round=record.round),
            run_page=run_page_from(uri),
        ),
    }
    for name, text in files.items():
        write_text(f"{uri}/{name}", text)
