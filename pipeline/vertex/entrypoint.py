"""What a container of a task runs: reads the secrets it needs, then hands over to TFX.

Usage: `python -m pipeline.vertex.entrypoint` with the arguments of TFX's
`kubeflow_v2_run_executor`.
"""

import json
import logging
import os
import runpy
import sys
from collections.abc import Sequence

from components.errors import UserError
from pipeline.vertex.secrets import SECRETS_VARIABLE, read_secret

_TFX_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_EXIT_USER_ERROR = 2


def main(argv: Sequence[str]) -> None:
    """Run one task.

    Args:
        argv: The arguments for TFX's entrypoint.

    Raises:
        SystemExit: When TFX's entrypoint ends; with status 2 for a mistake the user can mend.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        _set_secrets()
        _run_module(_TFX_ENTRYPOINT, argv)
    except UserError as error:
        # Vertex shows the last lines of a failed task: without a traceback they are the reason.
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_EXIT_USER_ERROR)


def _set_secrets() -> None:
    names = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
    for variable, name in names.items():
        if variable not in os.environ:
            os.environ[variable] = read_secret(name)


def _run_module(module: str, argv: Sequence[str]) -> None:
    """As `python -m` does, in this process, so that the secrets stay in its environment."""
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
