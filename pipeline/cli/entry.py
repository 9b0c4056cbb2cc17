"""Imports the command line for the runners, or says what an interpreter without packages lacks.

It imports the standard library alone.
"""

import sys
from collections.abc import Callable

_EXIT_USER_ERROR = 2


def import_main(command: str) -> Callable[..., int]:
    """Return `pipeline.cli.main.main`.

    Args:
        command: What to call instead, with the packages that `make setup` installs.

    Raises:
        SystemExit: A package is missing; the message was printed.
    """
    try:
        from pipeline.cli.main import main
    except ModuleNotFoundError as error:
        print(  # noqa: T201
            f"error: {error}. Run `make setup`, then use .venv/bin/{command}.", file=sys.stderr
        )
        sys.exit(_EXIT_USER_ERROR)
    return main
