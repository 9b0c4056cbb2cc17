"""What is wrong with a dataset, line by line, and the one error that tells all of it."""

import dataclasses
from collections.abc import Sequence

from core.errors import UserError

_LISTED = 50  # problems written out; the rest is counted
_VALUE_LENGTH = 60  # characters of a received value that are shown


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """One reason why one line cannot be used.

    Attributes:
        file: Path of the file.
        line: Line on which the row starts, from 1; 0 for the file as a whole.
        reason: What is wrong and what is expected.
    """

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.reason}"


class BadRowError(ValueError):
    """A row that cannot be used; the message is the reason."""


def dataset_error(folder: str, problems: Sequence[Problem]) -> UserError:
    """One error for every problem of the dataset, in the order of files and lines."""
    ordered = sorted(set(problems))
    lines = "1 line" if len(ordered) == 1 else f"{len(ordered)} lines"
    listed = [f"  {problem}" for problem in ordered[:_LISTED]]
    rest = len(ordered) - len(listed)
    more = [f"  … and {rest} more"] if rest else []
    heading = f"The coverage dataset {folder!r} cannot be used; fix {lines} and run again:"
    return UserError("\n".join([heading, *listed, *more]))


def shown(value: object) -> str:
    """Return a received value, short enough for an error message."""
    text = repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"
