"""On what machine, on which day and with which versions a benchmark runs."""

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path

_PACKAGES = ("tfx", "tensorflow", "keras", "keras-hub")


def circumstances(*, with_date: bool = True) -> str:
    """Return machine, versions and day of a benchmark."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, {_cpu_model()}"
    day = f"{today}; " if with_date else ""
    return f"{day}{machine}; Python {platform.python_version()}, {versions}."


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    facts = dict(re.findall(r"^([^\t:]+?)\s*: (.+)$", text.split("\n\n")[0], re.MULTILINE))
    name = facts.get("model name", platform.processor())
    # Generations of a processor may share a name, and differ in speed by half.
    return f"{name} (family {facts['cpu family']})" if "cpu family" in facts else name
