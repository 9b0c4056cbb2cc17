"""Run the pipeline on Vertex AI Pipelines: `python kubeflow_runner.py run --preset vertex`."""

import sys
from functools import partial

from pipeline.cli.entry import import_main

main = partial(
    import_main("understudy vertex"), group="vertex", program="python kubeflow_runner.py"
)

if __name__ == "__main__":
    sys.exit(main())
