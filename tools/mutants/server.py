"""Runs tests again and again, in forks of a process that has loaded what they need.

`python -m tools.mutants.server` reads orders from its standard input, a line of JSON each: the
`tests`, the `seconds` they may take, and `lines`: a file for the lines of the `parts` that run, as
JSON by the modules' paths, or null. Each answer is one, too: `status`, pytest's exit status or null
where time was up, and `seconds`, of the processor: others may use the machine. Modules of the
repository are loaded in the forks, as they are then.
"""

import contextlib
import importlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_LOADED = (
    "aiohttp",
    "coverage",
    "google.auth",
    "google.genai",
    "httpx",
    "hypothesis",
    "jinja2",
    "jsonschema",
    "numpy",
    "openai",
    "prometheus_client",
    "pydantic",
    "pytest",
    "sentencepiece",
    "starlette.applications",
    "uvicorn",
    "websockets",
    "yaml",
)
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow and not soak")
_LOOK_SECONDS = 0.02


def main() -> None:
    """Serve until the standard input ends."""
    for module in _LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    for order in orders:
        status, seconds = _forked(**json.loads(order))
        answers.write(json.dumps({"status": status, "seconds": round(seconds, 2)}) + "\n")


def _forked(
    tests: list[str], seconds: float, lines: str | None, parts: list[str]
) -> tuple[int | None, float]:
    process = os.fork()
    if process == 0:
        os._exit(_run(tests, lines, parts))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status, used = os.wait4(process, os.WNOHANG)
        if found:
            _end_group(process)
            return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        time.sleep(_LOOK_SECONDS)
    _end_group(process)
    _, _, used = os.wait4(process, 0)
    return None, used.ru_utime + used.ru_stime


def _end_group(process: int) -> None:
    """End a fork, and what it has left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _run(tests: list[str], lines: str | None, parts: list[str]) -> int:
    """Run tests in a fork of its own; return pytest's exit status."""
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    import pytest

    try:
        with _lines_into(Path(lines), parts) if lines else contextlib.nullcontext():
            return int(pytest.main([*_OPTIONS, *tests]))
    except BaseException:
        return 1


@contextlib.contextmanager
def _lines_into(file: Path, parts: list[str]) -> Iterator[None]:
    """Write which lines of some folders run."""
    import coverage

    root = Path.cwd()
    measured = coverage.Coverage(
        data_file=None, config_file=False, source=[str(root / part) for part in parts]
    )
    measured.start()
    try:
        yield
    finally:
        measured.stop()
        data = measured.get_data()
        found = {
            Path(name).relative_to(root).as_posix(): sorted(data.lines(name) or ())
            for name in data.measured_files()
        }
        file.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
