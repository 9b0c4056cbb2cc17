"""The commands of a run on this machine; each returns the text to print at its end."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from components.hf_pusher.base_terms import check_license_file
from components.hf_pusher.credentials import check_token
from core.artifact_files import CANDIDATES
from core.errors import UserError
from core.records import TEST_SPLIT, CoverageRow
from core.reports.loop import LoopSummary
from core.terminal import wrapped
from core.text import Say
from judging.sample_labels import draw_unlabelled, write_sheet
from models.backend import choose_backend
from pipeline.base_model_check import base_model_lines, check_base_model
from pipeline.budget_check import budget_problems, check_budget
from pipeline.check import checked_task, missing
from pipeline.check_prompts import raise_if_unused
from pipeline.cli.explain import explain as explained_settings
from pipeline.cli.shown import claimed, shown
from pipeline.compare import compare_text
from pipeline.config import Config, load_config
from pipeline.draft import load_draft
from pipeline.estimate import estimate_text
from pipeline.expected_times import expected_seconds
from pipeline.labels import labels_version
from pipeline.lengths import with_limits
from pipeline.local.live_page import live_page
from pipeline.local.output_dir import OutputPaths, read_summary
from pipeline.local.standin_server import standin_if_wanted
from pipeline.logged import logged_rows
from pipeline.online_check import check_online
from pipeline.placeholders import raise_if_to_replace
from pipeline.preset_files import preset_names
from pipeline.rows import dropped_text, kept_text, synthetic_uri
from pipeline.scaffold import PairsSource, create_task
from reports.run_page.started import StartedRun
from task.coverage.persisted import persist_splits
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows
from task.privacy import PrivacySettings

if TYPE_CHECKING:
    from pipeline.progress import ProgressView


_OF_THE_MODEL = ("training.preset=", "training.exports=", "training.backend=")


def config(*, preset: str, overrides: Sequence[str], explain: bool, say: Say) -> str:
    """Return the configuration of a run as JSON, or every setting explained."""
    del say
    if explain:
        return explained_settings()
    return load_config(preset, overrides).model_dump_json(indent=2)


def estimate(*, preset: str, overrides: Sequence[str], say: Say) -> str:
    """Estimate the calls, tokens, cost and minutes of a run."""
    del say
    settings = load_draft(preset, overrides).config
    persist_splits(settings.coverage_dir, test_percent=settings.splits.test_percent)
    raise_if_to_replace(settings, read_coverage(settings.coverage_dir))
    return estimate_text(settings)


def check(*, preset: str, overrides: Sequence[str], online: bool, all_rows: bool, say: Say) -> str:
    """Check the coverage dataset and the credentials, and on request the services themselves."""
    settings, to_set = load_draft(preset, overrides)
    checked = checked_task(settings, None) if all_rows else checked_task(settings)
    say(wrapped(checked.text))
    checked.raise_if_cut(settings)
    choose_backend(settings.training.backend)
    lines, model_problems = base_model_lines(settings)
    for line in lines:
        say(wrapped(line))
    # A shipped preset is looked at before anything is set up; a file of one's own has to be ready.
    problems = [*missing(settings, to_set), *budget_problems(settings), *model_problems]
    if lacking := "\n".join(problems):
        is_chosen = any(override.startswith(_OF_THE_MODEL) for override in overrides)
        if online or preset not in preset_names() or (is_chosen and model_problems):
            raise UserError(lacking)
        return wrapped(f"Before a run: {lacking}")
    if not online:
        return ""
    with standin_if_wanted(settings):
        return check_online(settings)


def init(
    *,
    name: str,
    service: str,
    pairs: str | None,
    shape: str | None,
    prompt_field: str | None,
    output_field: str | None,
    sample: int | None,
    embedder: str | None,
    train_on_rest: bool,
    say: Say,
) -> str:
    """Scaffold a new task."""
    if embedder and (sample is None or not pairs):
        raise UserError(
            f"--embedder {embedder} picks a sample; give --pairs PATH and --sample N with it."
        )
    source = pairs and PairsSource(
        path=pairs,
        shape=shape,
        prompt_field=prompt_field,
        output_field=output_field,
        sample=sample,
        train_on_rest=train_on_rest,
    )
    # Imported here: it needs NumPy, and the other commands do not.
    from pipeline.sample_embedder import sample_embedder

    with sample_embedder(embedder, Path("output") / name, say) as embed:
        created = create_task(name, service, source or None, embed)
    for line in (*created.notes, *(f"wrote {path}" for path in created.paths)):
        say(line)
    preset = created.paths[-1]
    todo = f"Complete {preset}" if source else "Fill them in"
    return f"{todo}, then: understudy check --preset {preset}"


def label(
    *,
    preset: str,
    overrides: Sequence[str],
    round: int | None,
    model: str,
    split: str,
    count: int,
    port: int,
    say: Say,
) -> None:
    """Serve the labelling page until interrupted; see `labelling`."""
    # Imported here: it brings a web server, which no other command needs.
    from labelling.run import read_run
    from labelling.server import serve_labelling

    settings = load_config(preset, overrides)
    output = Path(settings.output_dir)
    summary = read_summary(output, preset)
    chosen = summary.best if round is None else summary.find(round)
    # Its answers have a sheet of their own, next to that of the splits every round looks at.
    of_test = "-test" if split == TEST_SPLIT else ""
    run = read_run(
        chosen.artifacts.report,
        folder=OutputPaths(output).labels / f"round-{chosen.round}{of_test}",
        coverage_dir=Path(settings.coverage_dir),
        model=model,
        split=split,
        count=count,
        candidates_file=output / CANDIDATES,
        privacy=_privacy_of(summary, output),
    )
    serve_labelling(run, settings.task.title, port, say)


def _privacy_of(summary: LoopSummary, output: Path) -> PrivacySettings:
    """Return the run's own settings, which say what its placeholders stand for.

    Raises:
        UserError: They are of a later version.
    """
    try:
        return PrivacySettings.model_validate(summary.config.get("privacy", {}))
    except pydantic.ValidationError as error:
        raise UserError(
            f"The section privacy of the run in {str(output)!r} cannot be read: it is of a later "
            "version. Label with that version."
        ) from error


def sample_labels(
    *,
    verdicts: str,
    output: Path,
    count: int,
    models: Sequence[str],
    seed: int,
    labelled: Path | None,
    say: Say,
) -> None:
    """Write a sample of judged responses for people to label; see `judging.sample_labels`."""
    drawn = draw_unlabelled(verdicts, models, count, seed=seed, labelled=labelled)
    write_sheet(output, drawn)
    say(
        f"Fill in the column human_covered of {output} with yes or no, then set "
        "evaluator.labels_uri to it."
    )


def rows(
    *,
    preset: str,
    overrides: Sequence[str],
    round: int | None,
    dropped: bool,
    reason: str | None,
    count: int,
    as_json: bool,
    say: Say,
) -> str:
    """Show the rows of a round, or what its filters dropped."""
    del say
    settings = load_config(preset, overrides)
    if not dropped and reason is not None:
        raise UserError(
            f"--reason {reason} is only valid with --dropped: rows that were kept have none."
        )
    uri = synthetic_uri(settings, preset, round)
    if dropped:
        return dropped_text(settings, uri, reason=reason, count=count, as_json=as_json)
    return kept_text(uri, count=count, as_json=as_json)


def compare(*, first: Path, second: Path, say: Say) -> str:
    """Compare two runs by their output folders."""
    del say
    return compare_text(first, second)


def run(*, preset: str, overrides: Sequence[str], say: Say) -> str:
    """Run rounds until the loop stops."""
    del say
    settings = load_config(preset, overrides)
    # Every invalid row is reported before anything is spent.
    persist_splits(
        settings.coverage_dir,
        test_percent=settings.splits.test_percent,
        remember_named=True,
    )
    rows = read_coverage(settings.coverage_dir)
    raise_if_to_replace(settings, rows)
    raise_if_unused(settings, rows)
    logged_rows(settings)
    labels_version(settings.evaluator.labels_uri)
    choose_backend(settings.training.backend)
    check_budget(settings)
    check_base_model(settings)
    rows = redacted_rows(rows, settings.privacy)
    settings = with_limits(settings, rows, download=True)
    with claimed(settings) as paths:
        check_token(settings.push)
        check_license_file(settings.push)
        return f"{_run_rounds(settings, rows, paths)}\n{_next_steps(preset, overrides)}"


def _next_steps(preset: str, overrides: Sequence[str]) -> str:
    """Say what can be done with the model, as commands that can be pasted."""
    words = ["--preset", preset, *(word for key in overrides for word in ("--set", key))]
    options = shlex.join(words)
    return "\n".join(
        [
            "Next, after `source .venv/bin/activate`:",
            f"  try the model       understudy space {options}",
            f"  rehearse an outage  understudy drill {options}",
            f"  let it take over    understudy serve {options}",
        ]
    )


def _run_rounds(config: Config, rows: Sequence[CoverageRow], paths: OutputPaths) -> str:
    def work(view: "ProgressView") -> str:
        run = StartedRun(config.name, config.task.name, paths.log)
        with live_page(view, paths.report, run) as views:
            views.expect(expected_seconds(config, rows))
            # Imported here: TFX and TensorFlow take ten seconds and print while they load.
            from pipeline.local.run import run_locally

            return run_locally(config, paths, views)

    return shown(paths, work)
