"""The logged exchanges that a run trains on, found before anything is spent."""

from core.errors import UserError
from core.records import CoverageRow
from pipeline.config import Config
from task.coverage.logged import read_logged
from task.coverage.reader import LOGGED_FILE


def logged_rows(config: Config) -> list[CoverageRow]:
    """Read the exchanges that become training rows; none where the configuration wants none.

    Args:
        config: The configuration; its coverage dataset is a local folder.

    Raises:
        UserError: It wants them, and there are none; or some are invalid.
    """
    if not config.synth.train_on_rest:
        return []
    rows = read_logged(config.coverage_dir)
    if not rows:
        raise UserError(
            f"synth.train_on_rest is set, but {config.coverage_dir!r} has no {LOGGED_FILE}. Write "
            "it with understudy init --sample N --train-on-rest, or set synth.train_on_rest=false."
        )
    return rows
