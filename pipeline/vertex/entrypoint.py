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
from components.secret_manager import read_secret
from pipeline.vertex.settings import ACCELERATOR_VARIABLE, SECRETS_VARIABLE
from pipeline.vertex.spot import LAUNCHED_KEY

_TFX_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_INVOCATION_FLAG = "--json_serialized_invocation_args"
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
        _check_accelerator()
        _set_secrets()
        _run_module(_TFX_ENTRYPOINT, _without_launcher(argv))
    except UserError as error:
        # Vertex shows the last lines of a failed task: without a traceback they are the reason.
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_EXIT_USER_ERROR)


def _check_accelerator() -> None:
    """A backend would go on without one, and take hours on a machine that is paid for it."""
    wanted = os.environ.get(ACCELERATOR_VARIABLE)
    if not wanted:
        return
    backend = os.environ["KERAS_BACKEND"]
    if not _sees_accelerator(backend):
        name = {"jax": "JAX"}.get(backend, "TensorFlow")
        raise UserError(
            f"{name} sees no accelerator on this machine with {wanted}: the image of this task "
            "lacks CUDA, or is older than the driver. Set vertex.trainer_image to the image that "
            "TARGETS='pipeline cuda' deploy/build.sh makes, or vertex.accelerator_type=null."
        )


def _sees_accelerator(backend: str) -> bool:
    if backend != "jax":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    try:
        import jax
    except ImportError:
        raise UserError(
            "training.backend is 'jax', and the image of this task holds no JAX. Add jax[cuda12] "
            "to the image of vertex.trainer_image, or set training.backend=tensorflow."
        ) from None
    return bool(jax.default_backend() != "cpu")


def _set_secrets() -> None:
    names = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
    for variable, name in names.items():
        if variable not in os.environ:
            os.environ[variable] = read_secret(name)


def _without_launcher(argv: Sequence[str]) -> list[str]:
    """The arguments without the output that the launcher of a custom job has written.

    TFX refuses a task with an output parameter that is none of its component's.
    """
    if _INVOCATION_FLAG not in argv:
        return list(argv)
    place = argv.index(_INVOCATION_FLAG) + 1
    invocation = json.loads(argv[place])
    invocation["outputs"].get("parameters", {}).pop(LAUNCHED_KEY, None)
    return [*argv[:place], json.dumps(invocation), *argv[place + 1 :]]


def _run_module(module: str, argv: Sequence[str]) -> None:
    """As `python -m` does, in this process, so that the secrets stay in its environment."""
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
