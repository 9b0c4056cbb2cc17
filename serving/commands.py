"""The commands `serve` and `drill`: their arguments, and what they call."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import UserError
from serving.mode_settings import MODES
from serving.preset import ServedPreset
from serving.running import RefusedError, RunningGateway
from serving.settings import ServingSettings

Presets = contextlib.AbstractContextManager[list[ServedPreset]]
LoadPresets = Callable[[Sequence[str], Sequence[str]], Presets]
"""From names of presets and `key.path=value` overrides; `pipeline.serving.served_presets`."""

_RELOAD, _MODE = "reload", "mode"
_RELOAD_SECONDS = 3600  # for an export, and the last answers of the model before
_DEFAULT_PORT = ServingSettings().port


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`, which takes `--preset` several times."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=[_RELOAD, _MODE],
        help="reload: switch a running gateway to another round's model without losing a request; "
        "mode: change its mode, which it keeps over restarts (default: start a gateway)",
    )
    parser.add_argument(
        "mode",
        nargs="?",
        metavar="MODE",
        help=f"one of {', '.join(MODES)}, with mode (default: print the mode)",
    )
    parser.add_argument(
        "--percent",
        type=float,
        metavar="P",
        help="percentage of users that the tuned model answers, with mode canary "
        "(default: as it was)",
    )
    parser.add_argument("--port", type=int, help=f"port of the gateway (default: {_DEFAULT_PORT})")
    parser.add_argument(
        "--round", type=int, metavar="N", help="round to load, with reload (default: the best)"
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="FILE",
        help="report who would answer each request of a JSONL file in an outage, and why "
        "(default: serve)",
    )
    _add_preset_arguments(parser, several=True)


def add_drill_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `drill`."""
    parser.add_argument(
        "--rate",
        type=float,
        default=2.0,
        metavar="R",
        help="requests per second (default: %(default)s)",
    )
    parser.add_argument(
        "--peak",
        type=float,
        metavar="N",
        help="requests per second of the task at its peak (default: unknown)",
    )
    parser.add_argument(
        "--faults", nargs="+", metavar="F", help="faults to inject, of F1 to F14 (default: all)"
    )
    parser.add_argument(
        "--requests",
        type=int,
        default=3,
        metavar="N",
        help="requests per cell of the table (default: %(default)s)",
    )
    _add_preset_arguments(parser, several=False)


def steers(arguments: argparse.Namespace) -> bool:
    """Whether `serve` only tells a gateway that runs to take another mode or round."""
    return arguments.action in (_RELOAD, _MODE)


def serve(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Serve until interrupted; or explain requests, or reload a running gateway's model.

    Args:
        arguments: The options of `add_serve_options`.
        load: Reads the presets.

    Raises:
        UserError: A preset, its model or the port cannot be used.
    """
    with load(arguments.presets or ["offline"], arguments.overrides) as presets:
        settings = presets[0].settings
        gateway = RunningGateway.of(settings, arguments.port)
        if arguments.action == _RELOAD:
            print(_reload(gateway, arguments.round))  # noqa: T201
        elif arguments.action == _MODE:
            print(_mode(gateway, arguments.mode, arguments.percent))  # noqa: T201
        elif arguments.round is not None:
            raise UserError(
                f"--round {arguments.round} is only valid with `understudy serve reload`; a "
                "gateway starts with the round chosen that way, or with the best one."
            )
        elif arguments.explain:
            print(_explained(arguments.explain, presets))  # noqa: T201
        else:
            from serving.gateway.server import run
            from serving.run_gateway import run_gateway

            with contextlib.suppress(KeyboardInterrupt):
                port = settings.port if arguments.port is None else arguments.port
                run(run_gateway(presets, port))


def drill(arguments: argparse.Namespace, load: LoadPresets) -> None:
    """Rehearse the outage and say what came of it.

    Raises:
        UserError: The preset or its model cannot be used.
        SystemExit: With status 1 where an answer was lost.
    """
    from serving.drill.options import DrillOptions
    from serving.drill.run import run_drill

    with load([arguments.preset], arguments.overrides) as presets:
        options = DrillOptions.of(
            rate=arguments.rate,
            peak=arguments.peak,
            faults=arguments.faults,
            requests_per_cell=arguments.requests,
        )
        report = asyncio.run(run_drill(presets[0], options))
    if report.lost:
        sys.exit(1)  # as scripts know it


def _add_preset_arguments(parser: argparse.ArgumentParser, *, several: bool) -> None:
    if several:
        parser.add_argument(
            "--preset",
            action="append",
            dest="presets",
            metavar="PRESET",
            help="preset of a task to serve; repeatable (default: offline)",
        )
    else:
        parser.add_argument(
            "--preset", default="offline", help="preset of the task (default: %(default)s)"
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.PATH=VALUE",
        dest="overrides",
        help="override one setting of the preset; repeatable (default: none)",
    )


def _explained(file: Path, presets: Sequence[ServedPreset]) -> str:
    """Return a line for each request of a file, and the count."""
    from serving.gateway.explain import explain
    from serving.model.unserved import unserved_task

    found = explain(file, [unserved_task(preset) for preset in presets])
    answered = sum(bool(each.task) for each in found)
    count = f"In an outage the tuned model would answer {answered} of {len(found)} requests."
    return "\n".join([*map(str, found), count])


def _reload(gateway: RunningGateway, round: int | None) -> str:
    """Ask a running gateway for another round's model; what it says."""
    try:
        serving = gateway.post("reload", {"round": round}, _RELOAD_SECONDS)["serving"]
    except RefusedError as error:
        raise UserError(f"The gateway kept its model: {error}") from None
    return f"{', '.join(serving)} answers from now on."


def _mode(gateway: RunningGateway, mode: str | None, percent: float | None) -> str:
    """Change the mode of a running gateway, or say what it is."""
    if mode is None:
        state = gateway.status()["mode"]
    else:
        try:
            state = gateway.post("mode", {"mode": mode, "canary_percent": percent})
        except RefusedError as error:
            raise UserError(f"The gateway kept its mode: {error}") from None
    share = f", {state['canary_percent']:g} % of the users" if state["mode"] == "canary" else ""
    since = f", set by {state['set_by']} at {state['since']}" if state["since"] else ""
    warning = f" Warning: {state['warning']}." if state.get("warning") else ""
    return f"The gateway's mode is {state['mode']}{share}{since}.{warning}"
