"""Run the pipeline on this machine: `.venv/bin/python local_runner.py run --preset offline`."""

import sys

from pipeline.cli.entry import import_main

main = import_main("understudy")

if __name__ == "__main__":
    sys.exit(main(program="python local_runner.py"))
