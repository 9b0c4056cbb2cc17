"""Run the pipeline on this machine: `python local_runner.py run --preset offline`."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from components.coverage_example_gen.reader import read_coverage
from components.errors import UserError
from components.hf_pusher.credentials import check_token
from components.service_llm.secrets import check_environment
from models.backend import choose_backend
from models.errors import ModelError
from pipeline.config import Config, load_config, preset_names
from pipeline.estimate import estimate_text
from pipeline.labels import labels_version
from pipeline.local_service import standin_if_wanted
from pipeline.new_task import SERVICES, check_task, create_task
from pipeline.output_dir import OutputPaths, claim, disk_is_full

_EXIT_FAILED = 1
_EXIT_USER_ERROR = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it asks.

    Returns:
        0 when the command came to its end, 1 for an unexpected failure, 2 for a mistake that the
        user can mend, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (UserError, ModelError) as error:
        return _say(f"error: {error}", _EXIT_USER_ERROR)
    except KeyboardInterrupt:
        return _say("Stopped. Run the same command again to go on.", _EXIT_INTERRUPTED)
    except Exception as error:
        if not disk_is_full(error):
            raise
        return _say(
            f"error: the disk is full ({str(error).partition(chr(10))[0]}). Free some space and "
            "run the same command again to go on.",
            _EXIT_USER_ERROR,
        )
    return 0


def _say(message: str, status: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run rounds until the coverage rate is reached")
    run.set_defaults(command=_run)
    show = commands.add_parser("config", help="print the configuration that a run would use")
    show.set_defaults(command=_show_config)
    estimate = commands.add_parser(
        "estimate", help="print the calls, tokens, cost and minutes of a run, and send nothing"
    )
    estimate.set_defaults(command=_estimate)
    space = commands.add_parser("space", help="serve the application with the best local model")
    space.set_defaults(command=_space)
    check = commands.add_parser("check", help="check the coverage dataset and the credentials")
    check.set_defaults(command=_check)
    init = commands.add_parser("init", help="write the coverage folder and preset of a new task")
    init.set_defaults(command=_init)
    init.add_argument("name", help="of the task, such as my_task")
    init.add_argument("--service", choices=SERVICES, default=SERVICES[0])
    init.add_argument("--pairs", metavar="FILE", help="*.jsonl or *.csv with the coverage pairs")
    for command in (run, show, estimate, space, check):
        command.add_argument(
            "--preset",
            default="offline",
            help=f"one of {', '.join(preset_names())}, or a YAML file (default: offline)",
        )
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY.PATH=VALUE",
            dest="overrides",
            help="override one value of the preset; may be given several times",
        )
    return parser


def _show_config(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.preset, arguments.overrides)
    print(config.model_dump_json(indent=2))  # noqa: T201


def _estimate(arguments: argparse.Namespace) -> None:
    print(estimate_text(load_config(arguments.preset, arguments.overrides)))  # noqa: T201


def _check(arguments: argparse.Namespace) -> None:
    print(check_task(load_config(arguments.preset, arguments.overrides)))  # noqa: T201


def _init(arguments: argparse.Namespace) -> None:
    written = create_task(arguments.name, arguments.service, arguments.pairs)
    for path in written:
        print(f"wrote {path}")  # noqa: T201
    print(  # noqa: T201
        f"Fill them in, then: python local_runner.py check --preset {written[-1]}"
    )


def _space(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.preset, arguments.overrides)
    summary_file = OutputPaths(Path(config.output_dir)).summary
    if not summary_file.exists():
        raise UserError(
            f"There is no {str(summary_file)!r}, so no model to serve. Run the pipeline first: "
            f"make run PRESET={arguments.preset}."
        )
    summary = json.loads(summary_file.read_text(encoding="utf-8"))
    best = next(r for r in summary["rounds"] if r["round"] == summary["best_round"])
    # In a process of its own: the application imports nothing of this repository.
    os.execv(
        sys.executable,
        [
            sys.executable,
            str(Path(__file__).with_name("apps") / "space" / "app.py"),
            f"--model={best['artifacts']['model']}/Format-Serving",
            f"--evaluation={best['artifacts']['report']}",
            f"--title={config.task.title}",
        ],
    )


def _run(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.preset, arguments.overrides)
    # Every bad row is told before anything is spent.
    read_coverage(config.coverage_dir)
    labels_version(config.evaluator.labels_uri)
    choose_backend(config.training.backend)
    with claim(Path(config.output_dir)) as paths, standin_if_wanted(config):
        for settings in config.services.values():
            check_environment(settings)
        check_token(config.push)
        print(_run_rounds(config, paths))  # noqa: T201


def _run_rounds(config: Config, paths: OutputPaths) -> str:
    from pipeline.progress import progress_view

    # While the view is active, standard error goes to the log: errors are told after it.
    try:
        with progress_view(paths.log) as view:
            # Imported here: TFX and TensorFlow take ten seconds and talk while they load.
            from pipeline.local_run import run_locally

            return run_locally(config, paths, view)
    except (UserError, ModelError, OSError):
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        with paths.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        message = (
            f"error: {type(error).__name__}: {error}\nThe whole story is in {paths.log}. "
            "Run the same command again to go on from the last finished component."
        )
        raise SystemExit(_say(message, _EXIT_FAILED)) from error


if __name__ == "__main__":
    sys.exit(main())
