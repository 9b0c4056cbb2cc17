"""The commands of a run on this machine; each returns the text to print at its end."""

import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from components.hf_pusher.credentials import check_token
from core.artifact_files import CANDIDATES
from core.errors import UserError
from core.reports.rates import SplitName
from models.backend import choose_backend
from pipeline.check import check_lengths, check_task, missing, raise_if_to_replace
from pipeline.cli.explain import explain as explained_settings
from pipeline.cli.interruption import ends_on_ctrl_c
from pipeline.compare import compare_text
from pipeline.config import Config, load_config
from pipeline.draft import load_draft
from pipeline.estimate import estimate_text
from pipeline.labels import labels_version
from pipeline.lengths import with_limits
from pipeline.local.output_dir import OutputPaths, claim, disk_is_full, read_summary
from pipeline.local.pauses import PausedError
from pipeline.local.standin_server import standin_if_wanted
from pipeline.logged import logged_rows
from pipeline.online_check import check_online
from pipeline.preset_files import preset_names
from pipeline.rows import dropped_text, kept_text, synthetic_uri
from pipeline.scaffold import PairsSource, create_task
from pipeline.terminal import wrapped
from service_llm.secrets import check_environment
from task.coverage.reader import persist_splits, read_coverage

Say = Callable[[str], None]

_EXIT_FAILED = 1


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
    return estimate_text(settings)


def check(*, preset: str, overrides: Sequence[str], online: bool, all_rows: bool, say: Say) -> str:
    """Check the coverage dataset and the credentials, and on request the services themselves."""
    settings, to_set = load_draft(preset, overrides)
    say(wrapped(check_task(settings, None) if all_rows else check_task(settings)))
    check_lengths(settings)
    # A shipped preset is looked at before anything is set up; a file of one's own has to be ready.
    if lacking := "\n".join(missing(settings, to_set)):
        if online or preset not in preset_names():
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
    split: SplitName,
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
    run = read_run(
        chosen.artifacts.report,
        folder=OutputPaths(output).labels / f"round-{chosen.round}",
        coverage_dir=Path(settings.coverage_dir),
        model=model,
        split=split,
        count=count,
        candidates_file=output / CANDIDATES,
    )
    serve_labelling(run, settings.task.title, port, say)


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
        raise UserError(f"--reason {reason} goes with --dropped: rows that were kept have none.")
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
    persist_splits(settings.coverage_dir, test_percent=settings.splits.test_percent)
    rows = read_coverage(settings.coverage_dir)
    raise_if_to_replace(settings, rows)
    logged_rows(settings)
    labels_version(settings.evaluator.labels_uri)
    choose_backend(settings.training.backend)
    settings = with_limits(settings, rows, download=True)
    with (
        ends_on_ctrl_c(),
        claim(Path(settings.output_dir)) as paths,
        standin_if_wanted(settings),
    ):
        for service in settings.services.values():
            check_environment(service)
        check_token(settings.push)
        return f"{_run_rounds(settings, paths)}\n{_next_steps(preset, overrides)}"


def _next_steps(preset: str, overrides: Sequence[str]) -> str:
    """Say what can be done with the model, as commands that can be pasted."""
    words = ["--preset", preset, *(word for key in overrides for word in ("--set", key))]
    options = shlex.join(words)
    return "\n".join(
        [
            "Next, in the environment of `source .venv/bin/activate`:",
            f"  understudy space {options}   # try it in a browser",
            f"  understudy drill {options}   # rehearse an outage",
            f"  understudy serve {options}   # let it take over when the service fails",
        ]
    )


def _run_rounds(config: Config, paths: OutputPaths) -> str:
    from pipeline.progress import progress_view

    # While the view is active, standard error goes to the log: errors are printed after it.
    try:
        with progress_view(paths.log) as view:
            # Imported here: TFX and TensorFlow take ten seconds and print while they load.
            from pipeline.local.run import run_locally

            return run_locally(config, paths, view)
    except (UserError, OSError, PausedError):
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        with paths.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        print(  # noqa: T201
            f"error: {type(error).__name__}: {error}\nSee {paths.log} for the full traceback. "
            "Run the same command again to resume from the last finished component.",
            file=sys.stderr,
        )
        raise SystemExit(_EXIT_FAILED) from error
