"""Run the pipeline on this machine: `.venv/bin/python local_runner.py run --preset offline`."""

import sys

try:
    from pipeline.cli.main import main
except ModuleNotFoundError as error:
    print(  # noqa: T201
        f"error: {error}. Run `make setup`, then use .venv/bin/understudy.",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main(program="python local_runner.py"))
