"""The command that compares base models on the rows of a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.reports.loop import LoopSummary
from core.reports.sweep import SweepReport, SweptModel
from core.text import Say, duration
from models.backend import choose_backend
from pipeline.base_model_check import check_base_model
from pipeline.budget_check import check_budget
from pipeline.cli.shown import claimed, shown
from pipeline.compare import differing_settings
from pipeline.config import Config, load_config
from pipeline.lengths import with_limits
from pipeline.local.output_dir import read_summary
from reports import wording
from task.coverage.persisted import persist_splits
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows

if TYPE_CHECKING:
    from pipeline.progress import ProgressView


_COMPARED = ("task", "privacy", "training", "generation", "evaluator")
_SERVICES = ("service_llm", "judge", "embedder")
# What makes a service another one, which judges otherwise than the run's did.
_OF_SERVICES = (
    *("provider", "base_url", "vertex_project", "model", "model_version"),
    *("thinking", "max_output_tokens", "dimensions"),
)
# See `config_of`; a run's summary has its lengths filled in.
_OF_EACH_MODEL = (
    "training.preset",
    "training.exports",
    "training.sequence_length",
    "generation.max_output_tokens",
    "evaluator.baselines",
)


def sweep(*, preset: str, overrides: Sequence[str], models: str, say: Say) -> str:
    """Train several base models on the kept rows of a run and compare them."""
    settings = load_config(preset, overrides)
    summary = read_summary(Path(settings.output_dir), preset)
    names = model_names(models, summary.best.training.preset)
    persist_splits(
        settings.coverage_dir,
        test_percent=settings.splits.test_percent,
        remember_named=True,
    )
    rows = redacted_rows(read_coverage(settings.coverage_dir), settings.privacy)
    choose_backend(settings.training.backend)
    check_budget(settings)

    def work(view: "ProgressView") -> SweepReport:
        from pipeline.local.sweep import config_of, sweep_locally

        # A model that is not there is found before the first training.
        wanted = [config_of(settings, name) for name in names]
        for config in wanted:
            check_base_model(config)
        configs = [with_limits(config, rows, download=True) for config in wanted]
        return sweep_locally(configs, summary, paths, view)

    if changed := list(_changed_settings(settings, summary)):
        say("\n".join(["Settings that differ from the run's (run -> sweep):", *changed]))
    with claimed(settings) as paths:
        return f"{sweep_text(shown(paths, work))}\nReport: {paths.report}"


def _changed_settings(config: Config, summary: LoopSummary) -> Iterator[str]:
    """Yield what the swept models are trained and judged with, and the run's own was not."""
    now = config.model_dump(mode="json")
    for path, (before, after) in differing_settings(summary.config, now).items():
        section, _, key = path.partition(".")
        of_service = section in _SERVICES and key in ("", *_OF_SERVICES)
        if (section in _COMPARED and path not in _OF_EACH_MODEL) or of_service:
            yield f"  {path}: {before} -> {after}"


def model_names(models: str, kept: str) -> list[str]:
    """Read the option `--models`.

    Args:
        models: Base models, separated by commas.
        kept: That of the run, which was trained already.

    Raises:
        UserError: It names no other model.
    """
    names = dict.fromkeys(name for part in models.split(",") if (name := part.strip()))
    names.pop(kept, None)
    if not names:
        raise UserError(
            f"--models {models!r} names no base model besides the run's own ({kept}). Give presets "
            "as training.preset takes them, separated by commas."
        )
    return list(names)


def sweep_text(sweep: SweepReport) -> str:
    """Return the comparison for a terminal: two lines for each model."""
    lines = [
        f"Base models on the {sweep.train_rows:,} rows of round {sweep.round}, {sweep.split} "
        "prompts:",
        *(line for model in (sweep.kept, *sweep.models) for line in _lines(model)),
        wording.SWEEP_CAVEAT,
    ]
    return "\n".join(lines)


def _lines(model: SweptModel) -> tuple[str, str]:
    change = "the run's own" if model.change is None else wording.comparison(model.change)
    rate = model.rate
    facts = (
        wording.model_size(model),
        wording.latency(model.own),
        f"trained in {duration(model.training_seconds)}",
    )
    return (
        f"  {model.preset}: {wording.percent(rate.rate_percent)} ({rate.covered} of {rate.total}, "
        f"{wording.percent(rate.low_percent)} to {wording.percent(rate.high_percent)}); {change}",
        f"    {'; '.join(facts)}",
    )
