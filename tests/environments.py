"""Environments with a lock and this project in them, as a user installs it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(folder, *command):
    """The status of a command, and what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def install(folder, lock):
    """Install a lock and this project; the folder with the environment's programs."""
    environment = folder / "environment"
    python = str(environment / "bin" / "python")
    uv = (sys.executable, "-m", "uv")
    pip = (*uv, "pip", "install", "--quiet", "--python", python)
    for command in (
        (*uv, "venv", "--quiet", "--python", sys.executable, str(environment)),
        (*pip, "--require-hashes", "-r", str(lock)),
        (*pip, "--no-deps", str(ROOT)),
    ):
        status, said = run(folder, *command)
        assert status == 0, said
    return environment / "bin"
