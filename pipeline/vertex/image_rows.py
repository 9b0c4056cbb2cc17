"""The coverage dataset in a folder of this machine, of which the image holds a copy."""

from pathlib import Path

from core.errors import UserError
from pipeline.check_prompts import raise_if_unused
from pipeline.config import Config
from pipeline.logged import logged_rows
from pipeline.placeholders import raise_if_to_replace
from task.coverage.persisted import remember_splits, unkept_test_rows
from task.coverage.reader import read_coverage


def check_rows(config: Config) -> None:
    """Look at the rows as a run on this machine does; those of a bucket are read in the job.

    Raises:
        UserError: A row is bad, still to be replaced, or not asked with the user's own prompt text.
    """
    if "://" in config.coverage_dir:
        return
    rows = read_coverage(config.coverage_dir)
    raise_if_to_replace(config, rows)
    raise_if_unused(config, rows)
    logged_rows(config)


def check_splits(config: Config) -> None:
    """Look whether the image can have the splits that a first run on this machine would give.

    It holds a copy of the folder. Rows whose split the folder does not keep have one there by their
    id alone, which is never the test split.

    Raises:
        UserError: Rows of the test split would be seed or holdout in the image.
    """
    if "://" in config.coverage_dir:
        return
    if unkept := unkept_test_rows(config.coverage_dir, test_percent=config.splits.test_percent):
        raise UserError(
            f"The splits of the rows in {config.coverage_dir!r} have not been saved yet ({unkept} "
            f"new {'row belongs' if unkept == 1 else 'rows belong'} to the test split), so the "
            "image was built without them. Run `understudy check` with the same --preset and "
            "--set, then build the image with deploy/build.sh; or set splits.test_percent=0 to do "
            "without a test split."
        )


def keep_judged_splits(config: Config) -> None:
    """Keep the splits of rows that a job is about to judge."""
    # A machine that knows a loop by its URI alone may have no such folder.
    if "://" not in config.coverage_dir and Path(config.coverage_dir).is_dir():
        remember_splits(config.coverage_dir)
