"""Run the pipeline on Vertex AI Pipelines: `python kubeflow_runner.py run --preset vertex`."""

import sys
from functools import partial

from pipeline.cli.main import main as run_command
from pipeline.cli.parser import VERTEX

main = partial(run_command, group=VERTEX, program="python kubeflow_runner.py")

if __name__ == "__main__":
    sys.exit(main())
