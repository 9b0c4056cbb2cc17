"""Presets as `serving` takes them: the task, its coverage rows, its output folder and service."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import UserError
from pipeline.config import Config, load_config
from pipeline.local.output_dir import OutputPaths
from pipeline.local.standin_server import standin_if_wanted
from serving.preset import JudgingPreset, ServedPreset
from task.coverage.reader import read_coverage


@contextlib.contextmanager
def served_presets(
    names: Sequence[str], overrides: Sequence[str], *, for_application: bool = True
) -> Iterator[list[ServedPreset]]:
    """Presets to serve together, with the stand-in running for as long as the context lasts.

    Args:
        names: Presets, or paths of YAML files.
        overrides: `key.path=value` strings, for all of them.
        for_application: Whether the stand-in answers an application, and not a judge's requests.

    Raises:
        UserError: A preset or its coverage dataset cannot be used, or the presets have different
            services.
    """
    configs = [load_config(name, overrides) for name in names]
    with contextlib.ExitStack() as stack:
        for config in configs:
            stack.enter_context(standin_if_wanted(config, for_application=for_application))
        presets = [_served(name, config) for name, config in zip(names, configs, strict=True)]
        _check_services(presets)
        yield presets


@contextlib.contextmanager
def running_presets(names: Sequence[str], overrides: Sequence[str]) -> Iterator[list[ServedPreset]]:
    """Presets of a gateway that runs, to change its mode or its model.

    Nothing is read that the gateway has read already: where the dataset was damaged since, or a
    variable is not set in this shell, requests can be given back to the service all the same.

    Args:
        names: Of the presets.
        overrides: As for `load_config`.

    Raises:
        ConfigError: A preset cannot be used.
    """
    yield [
        ServedPreset(
            preset=name,
            task=config.task,
            output_dir=Path(config.output_dir),
            settings=config.serving,
        )
        for name in names
        for config in [load_config(name, overrides)]
    ]


def _served(name: str, config: Config) -> ServedPreset:
    service = config.serving.service or config.service_llm
    resolved = service.model_copy(update={"base_url": service.resolved_base_url()})
    has_coverage = Path(config.coverage_dir).is_dir()  # a host that only serves needs no copy
    return ServedPreset(
        preset=name,
        task=config.task,
        output_schema=config.task.output_schema,
        coverage=tuple(read_coverage(config.coverage_dir)) if has_coverage else (),
        output_dir=Path(config.output_dir),
        settings=config.serving.model_copy(update={"service": resolved}),
        privacy=config.privacy,
        judging=JudgingPreset(
            evaluator=config.evaluator,
            judge=config.judge_llm,
            embedder=config.embedder,
            journal_uri=str(OutputPaths(Path(config.output_dir)).journal),
        ),
    )


def _check_services(presets: Sequence[ServedPreset]) -> None:
    """One gateway stands before one service."""
    services = {preset.settings.service for preset in presets if preset.settings.service}
    if len({service.identity[:2] for service in services}) > 1:
        raise UserError(
            f"The presets {', '.join(p.preset for p in presets)} have different services. Start "
            "`understudy serve` once for each service, on another --port."
        )
