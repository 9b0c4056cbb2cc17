"""Reads damaged files in a process of its own: bounded time and memory, one documented error.

A source is a file, or a folder of which one file after the other is damaged.
"""

import importlib
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.errors import UserError

ROOT = Path(__file__).parents[1]
MORE_BYTES = 1 << 30
CASE_SECONDS = 20  # of the processor; a case that loops takes for ever
HUGE = [0, 1, 255, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 64) - 1]


def damaged(data, rng):
    """Return bytes with some of them changed, left out, repeated, or an integer that is extreme."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(len(data) or 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[place : place + 1] = rng.randbytes(1)
        elif kind == 1:
            del data[place : place + rng.randrange(1, 40)]
        elif kind == 2:
            data[place:place] = data[place : place + rng.randrange(1, 40)]
        elif kind == 3:
            data[place : place + 8] = struct.pack("<Q", rng.choice(HUGE))
        elif kind == 4:
            data[place : place + 4] = struct.pack("<I", rng.choice(HUGE) & 0xFFFFFFFF)
        else:
            data = data[:place]
    return bytes(data)


def _files(source):
    """The files that are damaged, the small ones as often as the large ones."""
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if path.is_file() and path.stat().st_size)


def fuzz(read, seed, cases, seconds, source):
    """Try damaged files; print what left as another error, and how many were tried."""
    module, _, name = read.partition(":")
    read = getattr(importlib.import_module(module), name)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, Path(source).name)
        copy = shutil.copytree if Path(source).is_dir() else shutil.copy
        copy(source, place)
        files = [(file, file.read_bytes()) for file in _files(place)]
        read(place)  # all libraries are loaded now
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + MORE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        end, number, found = time.monotonic() + seconds, 0, []
        while number < cases and time.monotonic() < end and len(found) < 5:
            file, sound = files[number % len(files)]
            number += 1
            file.write_bytes(damaged(sound, random.Random(f"{seed}/{number}")))
            used = int(time.process_time())
            resource.setrlimit(resource.RLIMIT_CPU, (used + CASE_SECONDS, -1))
            case = f"case {number}, {file.relative_to(folder)}"
            print(case, file=sys.stderr, flush=True)
            try:
                read(place)
            except UserError:
                pass
            except Exception as error:
                found.append(f"{case}: {type(error).__name__}: {str(error)[:200]}")
            file.write_bytes(sound)
    print(json.dumps({"tried": number, "found": found}))


def run(read, source, *, seed, cases=10**9, seconds=600.0):
    """Fuzz a reader, `module:function`, with a source; return what `fuzz` printed."""
    call = f"fuzz({read!r}, {seed!r}, {cases}, {seconds}, {str(source)!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import fuzz; {call}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    # A process that was ended by a limit has no result; the last line says at which case.
    assert done.returncode == 0, f"{done.returncode} at {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])
