"""Says whether the data files are what `generate` would write, where their sources are installed.

See `generate` for how to bring the sources in.
"""

import importlib.metadata
import re
import sys

from standin.published.generate import FILES
from standin.published.google_types import load


class SourceMissingError(Exception):
    """The package that a file was written from is not here, or in another release."""


def is_reproduced(name: str) -> bool:
    """Return whether a file is what its source gives now; its date aside.

    Args:
        name: Of the data file, without `.json`.

    Raises:
        SourceMissingError: It cannot be said.
    """
    data = dict(load(name))
    package, make = FILES[name]
    found = re.search(rf"/project/{package}/([^/]+)/", data["source"])
    release = found[1] if found else "an unknown release"
    try:
        installed = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceMissingError(f"{package} {release} is not installed") from error
    if installed != release:
        raise SourceMissingError(f"it is of {package} {release}, and {installed} is installed")
    del data["date"]
    return make() == data


def main() -> int:
    """Print what holds for each file.

    Returns:
        The exit status: 1 where one is not what its source gives, or that cannot be said.
    """
    status = 0
    for name in FILES:
        try:
            said = "is reproduced" if is_reproduced(name) else "DIFFERS from its source"
        except SourceMissingError as error:
            said = f"cannot be reproduced here: {error}"
        status |= said != "is reproduced"
        print(f"{name}.json {said}")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
