"""How long each notebook takes from top to bottom, offline, as it is in the repository.

`python -m benchmarks.notebook_times` prints a Markdown table; it takes about ten minutes. Converted
models are cached already, everything else is made again. "CPU" is the time of all processes on
all processors: on a machine that is busy with other things, too, it says more than the seconds.
"""

import argparse
import resource
import tempfile
import time

from notebooks.render import execute, names

_LIMIT_SECONDS = 180


def main() -> None:
    """Run the notebooks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=names(), help="default: all of them")
    print(f"| notebook | seconds | CPU seconds | below {_LIMIT_SECONDS} s |")
    print("|---|---|---|---|")
    for name in parser.parse_args().names:
        started, cpu = time.monotonic(), _cpu_seconds()
        with tempfile.TemporaryDirectory() as output:
            execute(name, {"OUTPUT": output})
        seconds, cpu = time.monotonic() - started, _cpu_seconds() - cpu
        is_below = "yes" if seconds < _LIMIT_SECONDS else "no"
        print(f"| {name} | {seconds:.0f} | {cpu:.0f} | {is_below} |", flush=True)


def _cpu_seconds() -> float:
    """Of processes that have ended: the kernels, and what they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
