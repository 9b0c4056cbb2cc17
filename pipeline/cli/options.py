"""The options of the commands, by what they are for."""

import argparse
from collections.abc import Callable
from pathlib import Path

from core.records import TEST_SPLIT
from core.reports.coverage import BASE, FEW_SHOT, SERVICE, TUNED
from core.reports.rates import SPLITS
from pipeline.preset_files import preset_names
from pipeline.scaffold import SERVICES
from task.importers import SHAPES

AddOptions = Callable[[argparse.ArgumentParser], None]


def configuration(preset: str) -> AddOptions:
    """Return what adds the options that choose a configuration.

    Args:
        preset: The default of `--preset`.
    """

    def add(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--preset",
            default=preset,
            help=f"one of {', '.join(preset_names())}, or a YAML file (default: %(default)s)",
        )
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY.PATH=VALUE",
            dest="overrides",
            help="override one setting of the preset; repeatable (default: none)",
        )

    return add


def explain(command: argparse.ArgumentParser) -> None:
    """Add the option of `config`."""
    command.add_argument(
        "--explain",
        action="store_true",
        help="print every setting with its documentation, bounds and default (default: off)",
    )


def new_task(command: argparse.ArgumentParser) -> None:
    """Add the options of `init`."""
    command.add_argument("name", help="name of the task, such as my_task")
    command.add_argument(
        "--service",
        choices=SERVICES,
        default=SERVICES[0],
        help="preset of the service LLM to extend (default: %(default)s)",
    )
    command.add_argument(
        "--pairs",
        metavar="PATH",
        help="file or folder with pairs: JSONL, JSON, CSV, Parquet, a Hugging Face dataset, or an "
        "export of LLM logs (default: two rows to replace)",
    )
    command.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        metavar="SHAPE",
        help=f"shape of the pairs, one of {', '.join(SHAPES)} (default: detected)",
    )
    command.add_argument(
        "--prompt-field", metavar="NAME", help="column with the prompt (default: detected)"
    )
    command.add_argument(
        "--output-field", metavar="NAME", help="column with the answer (default: detected)"
    )
    command.add_argument(
        "--sample", type=int, metavar="N", help="pick N representative pairs (default: all)"
    )
    command.add_argument(
        "--embedder",
        metavar="PRESET",
        help="with --sample, compare pairs by the embedder of this preset or YAML file, which "
        "sends it the prompts (default: TF-IDF on this machine, which sends nothing)",
    )
    command.add_argument(
        "--train-on-rest",
        action="store_true",
        help="with --sample, train on the pairs that are not picked (default: leave them out)",
    )


def output(command: argparse.ArgumentParser) -> None:
    """Add the option of `compile`."""
    command.add_argument(
        "--output",
        type=Path,
        default=Path("output/vertex/pipeline.json"),
        metavar="FILE",
        help="where the job is written (default: %(default)s)",
    )


def parameters(command: argparse.ArgumentParser) -> None:
    """Add the runtime parameters of a job."""
    command.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="parameters",
        help="runtime parameter of the job, such as round=2 or 'training={epochs: 3}'; "
        "repeatable (default: none)",
    )


def loop(command: argparse.ArgumentParser) -> None:
    """Add the options that choose a loop."""
    command.add_argument(
        "--loop", metavar="NAME", help="name of the loop (default: the name in the preset)"
    )
    command.add_argument(
        "--from",
        metavar="URI",
        dest="loop_uri",
        help="resume the loop at gs://…/loops/NAME with the configuration it was started with, so "
        "without --preset, --set and --loop (default: the loop of the preset)",
    )


def detach(command: argparse.ArgumentParser) -> None:
    """Add the options of a run that does not wait."""
    command.add_argument(
        "--detach",
        action="store_true",
        help="submit what can be submitted and do not wait for it (default: wait)",
    )
    command.add_argument(
        "--max-failures",
        type=int,
        metavar="N",
        help="stop where the current round has failed N times, for a scheduler (default: no limit)",
    )


def cron(command: argparse.ArgumentParser) -> None:
    """Add the options of `schedule`."""
    command.add_argument(
        "--cron", required=True, help="schedule, such as 'CRON_TZ=Europe/Berlin 0 3 * * 1'"
    )
    command.add_argument(
        "--max-runs", type=int, metavar="N", help="maximum number of runs (default: no limit)"
    )


def checks(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.add_argument(
        "--all",
        action="store_true",
        dest="all_rows",
        help="list every row that does not fit the form or has personal data (default: the first "
        "20)",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="also send one small request of each kind to each service, and show what comes back "
        "(default: send none)",
    )


def labels(command: argparse.ArgumentParser) -> None:
    """Add the options of `label`."""
    command.add_argument(
        "--round",
        type=int,
        metavar="N",
        help="round whose answers are labelled (default: the best)",
    )
    command.add_argument(
        "--model",
        default=TUNED,
        choices=(TUNED, BASE, FEW_SHOT, SERVICE),
        help="model whose answers are labelled (default: %(default)s)",
    )
    command.add_argument(
        "--split",
        default="holdout",
        choices=(*SPLITS, TEST_SPLIT),
        help="prompts to label (default: %(default)s)",
    )
    command.add_argument(
        "--count",
        type=int,
        default=100,
        metavar="N",
        help="labels you plan to give; you can stop at any time (default: %(default)s)",
    )
    command.add_argument(
        "--port", type=int, default=0, help="port of the page (default: a free one)"
    )


def label_sample(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `sample-labels`."""
    command.add_argument(
        "verdicts", help="verdicts.jsonl of a CoverageReport, or - for standard input"
    )
    command.add_argument("output", type=Path, help="CSV to write; it must not exist yet")
    command.add_argument(
        "--count", type=int, default=100, metavar="N", help="responses (default: %(default)s)"
    )
    command.add_argument(
        "--models",
        nargs="+",
        default=[TUNED, BASE],
        choices=(TUNED, BASE, FEW_SHOT, SERVICE),
        metavar="MODEL",
        help=f"models whose responses are sampled (default: {TUNED} {BASE})",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the sample (default: %(default)s)"
    )
    command.add_argument(
        "--labelled",
        type=Path,
        metavar="CSV",
        help="labels whose responses are left out (default: none)",
    )


def space(command: argparse.ArgumentParser) -> None:
    """Add the option of `space`."""
    command.add_argument(
        "--port", type=int, help="port of the page (default: the first free one from 7860)"
    )


def rows(command: argparse.ArgumentParser) -> None:
    """Add the options of `rows`."""
    command.add_argument(
        "--round", type=int, metavar="N", help="round whose rows are shown (default: the last)"
    )
    command.add_argument(
        "--dropped",
        action="store_true",
        help="show what the filters dropped, with the text of the row each is near to "
        "(default: show the rows that were kept)",
    )
    command.add_argument(
        "--reason", metavar="NAME", help="with --dropped, one reason, such as leak (default: all)"
    )
    command.add_argument(
        "--count", type=int, default=20, metavar="N", help="rows shown (default: %(default)s)"
    )
    command.add_argument(
        "--json", action="store_true", dest="as_json", help="print JSON lines (default: text)"
    )


def base_models(command: argparse.ArgumentParser) -> None:
    """Add the option of `sweep`."""
    command.add_argument(
        "--models",
        required=True,
        metavar="A,B,C",
        help="base models, as training.preset takes them, separated by commas",
    )


def two_runs(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    command.add_argument("first", type=Path, help="output folder of a run")
    command.add_argument("second", type=Path, help="output folder of the other run")
