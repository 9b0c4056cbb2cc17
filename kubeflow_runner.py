"""Run the pipeline on Vertex AI Pipelines: `python kubeflow_runner.py run --preset vertex`."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from components.errors import UserError
from pipeline.config import preset_names

_EXIT_USER_ERROR = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it asks.

    Returns:
        0 when the command came to its end, 2 for a mistake that the user can mend or a round that
        failed, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    _keep_quiet()
    # Imported here: the client of Vertex AI takes seconds, and talks while it loads.
    from pipeline.vertex import commands

    options = vars(arguments)
    command = getattr(commands, options.pop("function"))
    try:
        _say(command(**options, say=_say))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return _EXIT_USER_ERROR
    except KeyboardInterrupt:
        _say("Left. What was submitted goes on; the same command takes it up again.")
        return _EXIT_INTERRUPTED
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _keep_quiet() -> None:
    """Leave out what TensorFlow and Google's libraries tell about this machine."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.getLogger("absl").setLevel(logging.ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    write = commands.add_parser("compile", help="write the PipelineJob of a round as JSON")
    write.set_defaults(function="write_job")
    _add_configuration(write)
    write.add_argument(
        "--output", type=Path, default=Path("output/vertex/pipeline.json"), metavar="FILE"
    )

    submit = commands.add_parser("submit", help="compile, upload and start a single round")
    submit.set_defaults(function="submit")
    _add_configuration(submit)
    _add_parameters(submit)

    run = commands.add_parser("run", help="run rounds until the coverage rate is reached")
    run.set_defaults(function="run")
    _add_configuration(run)
    _add_loop(run)
    run.add_argument(
        "--detach", action="store_true", help="start what can be started, and do not wait for it"
    )

    status = commands.add_parser("status", help="show rounds, coverage and cost of a loop")
    status.set_defaults(function="status")
    _add_configuration(status)
    _add_loop(status)

    schedule = commands.add_parser("schedule", help="run a round again and again")
    schedule.set_defaults(function="schedule")
    _add_configuration(schedule)
    _add_parameters(schedule)
    schedule.add_argument(
        "--cron", required=True, help="for example 'CRON_TZ=Europe/Berlin 0 3 * * 1'"
    )
    schedule.add_argument("--max-runs", type=int, metavar="N", help="runs at most")

    unschedule = commands.add_parser("unschedule", help="delete the schedules of this pipeline")
    unschedule.set_defaults(function="unschedule")
    _add_configuration(unschedule)
    return parser


def _add_configuration(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--preset",
        default="vertex",
        help=f"one of {', '.join(preset_names())}, or a YAML file (default: vertex)",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.PATH=VALUE",
        dest="overrides",
        help="override one value of the preset; may be given several times",
    )


def _add_parameters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="parameters",
        help="a runtime parameter of the job, such as round=2 or 'training={epochs: 3}'; may be "
        "given several times",
    )


def _add_loop(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--loop", metavar="NAME", help="name of the loop (default: the name in the preset)"
    )
    command.add_argument(
        "--from",
        metavar="URI",
        dest="loop_uri",
        help="take the loop at gs://…/loops/NAME, with the configuration it was started with",
    )


if __name__ == "__main__":
    sys.exit(main())
