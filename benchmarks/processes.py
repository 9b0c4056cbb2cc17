"""Programs that are measured run in processes of their own, and print what they found as JSON."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

THREADS = 2
PEERS_DIR = Path(__file__).with_name("peers")


def measure(command: list[str]) -> dict[str, Any]:
    """Return what a process prints as JSON in its last line.

    Raises:
        SystemExit: It failed, or the peers are not installed.
    """
    if not Path(command[0]).exists():
        raise SystemExit(f"{command[0]} does not exist; see benchmarks/peers/README.md.")
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def peer(python: str, script: str, *arguments: str) -> dict[str, Any]:
    """Return what a script of `peers` prints, run by the interpreter of its environment."""
    return measure([python, str(PEERS_DIR / script), *arguments])


def ours(module: str, *arguments: str) -> dict[str, Any]:
    """Return what a module of this package prints as the measured process."""
    return measure([sys.executable, "-m", f"benchmarks.{module}", *arguments])


def progress(text: str) -> None:
    """Report progress, separate from the results on stdout."""
    print(text, file=sys.stderr, flush=True)


def wait_for(port: int, path: str, seconds: float = 60) -> None:
    """Wait until something answers HTTP on a port of this machine.

    Raises:
        SystemExit: Nothing does within that many seconds.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"Nothing listens on port {port} after {seconds:g} s.")


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
