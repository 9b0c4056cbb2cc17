"""Collects what the rounds of a loop left beside their artifacts into one dictionary.

How it is shown is left to `pipeline.report`.
"""

import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from components.llm_evaluator.page.wording import STAND_IN_NOTICE
from components.service_llm.types import Usage
from pipeline.config import Config
from pipeline.files import read_text
from pipeline.metadata import PipelineRun
from pipeline.rounds import LoopResult, RoundResult

_REPORT_FILE = "coverage_report.json"
_SYNTHESIS_FILE = "synthesis.json"
_PUSHED_FILE = "pushed.json"
_TRAINING_FILE = "Format-Serving/training.json"  # TFX's serving_model_dir of a Model

_PACKAGES = ("tfx", "tensorflow", "keras", "keras-hub")
_DATA_KEYS = (
    "requested",
    "generated",
    "kept",
    "surplus",
    "dropped",
    "total_rows",
    "train_rows",
    "eval_rows",
    "generator",
)
_EVALUATION_KEYS = (
    "gate",
    "judge",
    "baselines",
    "change",
    "scorers",
    "consistency",
    "calibration",
)
_TRAINING_KEYS = (
    "preset",
    "dtype",
    "steps",
    "losses",
    "eval_losses",
    "best_step",
    "eval_loss_before",
    "eval_loss",
    "tokens",
    "tokens_per_second",
    "trainable_weights",
    "train_rows",
    "eval_rows",
    "rows_too_long",
    "seconds",
)


def make_summary(
    config: Config, loop: LoopResult, runs: Mapping[int, PipelineRun]
) -> dict[str, Any]:
    """Everything worth knowing about a loop, as JSON values.

    Args:
        config: What the loop ran with.
        loop: Its rounds so far.
        runs: The orchestrator's run of each round, by the round's number; a round without one has
            no times.

    Returns:
        Of the loop: `name`, `task`, `created` (ISO 8601, UTC), `stop_reason` (None while it goes
        on), `best_round`, `seconds` and `usage` of all rounds, `stand_in` and `stand_in_notice`
        (None without a stand-in), `versions`, `config`, and `rounds`, where each has

        - `round`, `run_id`, `blessed`, `seconds`,
        - `rates`: model to `overall`, `seed`, `holdout` and `tags`, each rate with counts and the
          95 % interval in percent; `gate`: the decision with its `rate`; `judge`, `baselines`,
          `change`, `scorers`, `consistency` and `calibration`: as the evaluation's report has them,
        - `data`: rows asked for, kept, dropped by reason; None for what is not known,
        - `training`: what `training.json` says, with `epochs`, `final_loss` and `started_from` (the
          round whose model the training started from, or its URI; None for the base model),
        - `usage`: by component and `total`; `components`: `node`, `seconds`, `cached` in order,
        - `artifacts`: URIs; `pushed`: the record of the push, None where nothing was pushed.

    Raises:
        OSError: A file that a round must have written cannot be read.
    """
    seconds = _seconds(loop, runs)
    models = {result.model_uri: result.round for result in loop.rounds}
    rounds = [
        _round(result, runs.get(result.round), seconds.get(result.round, {}), models)
        for result in loop.rounds
    ]
    usages = [_usage_of(entry["usage"]["total"]) for entry in rounds]
    stand_in = any(entry["stand_in"] for entry in rounds)
    return {
        "name": config.name,
        "task": config.task.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "stop_reason": loop.stop_reason.value if loop.stop_reason else None,
        "best_round": loop.best.round,
        "seconds": round(sum(entry["seconds"] for entry in rounds), 1),
        "usage": _usage(sum(usages, Usage())),
        "stand_in": stand_in,
        "stand_in_notice": STAND_IN_NOTICE if stand_in else None,
        "rounds": rounds,
        "versions": _versions(),
        "config": config.model_dump(mode="json"),
    }


def _seconds(loop: LoopResult, runs: Mapping[int, PipelineRun]) -> dict[int, dict[str, float]]:
    """Seconds of each round's nodes, where work is counted once: in the first round that needs it.

    What an interrupted run of the same loop has computed comes from the cache afterwards, and
    counts with the time that it took then.
    """
    counted: set[int] = set()
    seconds: dict[int, dict[str, float]] = {}
    for result in loop.rounds:
        run = runs.get(result.round)
        for node in run.nodes.values() if run else ():
            is_new = node.cached and node.origin not in counted
            counted.add(node.origin)
            spent = node.origin_seconds if is_new else node.seconds
            seconds.setdefault(result.round, {})[node.node_id] = spent
    return seconds


def _round(
    result: RoundResult,
    run: PipelineRun | None,
    seconds: Mapping[str, float],
    models: Mapping[str, int],
) -> dict[str, Any]:
    report = _read_json(result.report_uri, _REPORT_FILE)
    synthesis = _read_json(result.synthetic_uri, _SYNTHESIS_FILE)
    nodes = run.nodes.values() if run else ()
    return {
        "round": result.round,
        "run_id": result.run_id,
        "blessed": result.blessed,
        "seconds": round(sum(seconds.values()), 1),
        "rates": report["models"],
        **{key: report[key] for key in _EVALUATION_KEYS},
        "data": {key: synthesis.get(key) for key in _DATA_KEYS},
        "training": _training(_read_json(result.model_uri, _TRAINING_FILE), models),
        "usage": _round_usage(synthesis["usage"], report["usage"]),
        "components": [
            {
                "node": node.node_id,
                "seconds": round(seconds[node.node_id], 2),
                "cached": node.cached,
            }
            for node in nodes
        ],
        "artifacts": {
            "synthetic": result.synthetic_uri,
            "model": result.model_uri,
            "report": result.report_uri,
            "pushed": result.pushed_uri,
        },
        # Only a blessed model is pushed; without one the artifact holds no record.
        "pushed": _read_json(result.pushed_uri, _PUSHED_FILE) if result.blessed else None,
        "stand_in": report["stand_in"] or synthesis["stand_in"],
    }


def _read_json(uri: str, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(read_text(f"{uri}/{name}"))
    return values


def _training(facts: Mapping[str, Any], models: Mapping[str, int]) -> dict[str, Any]:
    losses = facts.get("losses") or [None]
    start = facts.get("warm_start")
    return {
        **{key: facts.get(key) for key in _TRAINING_KEYS},
        "epochs": facts.get("hparams", {}).get("epochs"),
        "final_loss": losses[-1],
        "started_from": start and models.get(start.removesuffix("/Format-Serving"), start),
    }


def _round_usage(synthesis: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "SynthDataGen": _usage(_usage_of(synthesis)),
        "LLMEvaluator": _usage(_usage_of(report)),
        "total": _usage(_usage_of(synthesis) + _usage_of(report)),
    }


def _usage_of(values: Mapping[str, Any]) -> Usage:
    return Usage(
        values["calls"], values["prompt_tokens"], values["output_tokens"], values["cost_usd"]
    )


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": None if usage.cost_usd is None else round(usage.cost_usd, 6),
    }


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package.replace("-", "_")] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package.replace("-", "_")] = None
    return versions
