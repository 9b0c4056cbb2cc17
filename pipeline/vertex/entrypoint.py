"""The entry point of a task's container: reads the secrets it needs, then runs TFX.

Usage: `python -m pipeline.vertex.entrypoint` with the arguments of TFX's
`kubeflow_v2_run_executor`, the resource name of the PipelineJob and the task's time limit.
"""

import argparse
import json
import logging
import os
import runpy
import sys
import threading
from collections.abc import Sequence

from core.errors import OutageError, UserError
from core.secret_manager import read_secret
from pipeline.vertex.settings import (
    ACCELERATOR_VARIABLE,
    JOB_FLAG,
    SECRETS_VARIABLE,
    TIME_LIMIT_FLAG,
)
from pipeline.vertex.spot import LAUNCHED_KEY

_TFX_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_INVOCATION_FLAG = "--json_serialized_invocation_args"
_EXIT_OUTAGE = 1
_EXIT_USER_ERROR = 2
_EXIT_TIME_LIMIT = 124  # as timeout(1)
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ENDPOINT = "https://{region}-aiplatform.googleapis.com"
_TIMEOUT_SECONDS = 30

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> None:
    """Run one task.

    Args:
        argv: The arguments for TFX's entrypoint, and this module's own.

    Raises:
        SystemExit: When TFX's entrypoint ends; with status 2 for a mistake the user can fix, which
            also cancels the job: Vertex AI would start the task again, and fail again. A task that
            has reached its time limit does the same, with status 124. A service that does not
            answer ends the task with status 1 and leaves the job, so that the task is retried.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    own, rest = _parser().parse_known_args(argv)
    limit = _limit_time(own.time_limit_seconds, own.pipeline_job)
    try:
        _check_accelerator()
        _set_secrets()
        _run_module(_TFX_ENTRYPOINT, _without_launcher(rest))
    except UserError as error:
        is_outage = isinstance(error, OutageError)
        if not is_outage:
            _cancel(own.pipeline_job)
        # Vertex shows the last lines of a failed task: without a traceback they are the reason.
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_EXIT_OUTAGE if is_outage else _EXIT_USER_ERROR)
    finally:
        limit.cancel()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument(JOB_FLAG, default="")
    parser.add_argument(TIME_LIMIT_FLAG, type=float, default=threading.TIMEOUT_MAX)
    return parser


def _limit_time(seconds: float, job: str) -> threading.Timer:
    """End this process and its job after some seconds, whatever it waits for."""

    def end() -> None:
        print(  # noqa: T201
            f"error: The task ran for {seconds / 3600:g} hours, which is its limit. Raise "
            "vertex.task_hours if it needs longer.",
            file=sys.stderr,
            flush=True,
        )
        # Or Vertex AI would pay for as many hours again. What hangs may also hang this request.
        cancelling = threading.Thread(target=_cancel, args=(job,), daemon=True)
        cancelling.start()
        cancelling.join(2 * _TIMEOUT_SECONDS)
        os._exit(_EXIT_TIME_LIMIT)

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    timer.start()
    return timer


def _cancel(job: str) -> None:
    """Cancel the PipelineJob of this task; where that fails, Vertex AI tries the task again.

    Args:
        job: Its resource name; empty where the task was told none.
    """
    if not job:
        return
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        url = f"{_ENDPOINT.format(region=job.split('/')[3])}/v1/{job}:cancel"
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        session.post(url, json={}, timeout=_TIMEOUT_SECONDS).raise_for_status()
    except Exception as error:
        _logger.warning("The job was not cancelled, so the task may run again: %s", error)


def _check_accelerator() -> None:
    """Stop where there is none: a backend would continue on the CPU of a paid GPU machine."""
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
            "training.backend is 'jax', and the image of this task does not contain JAX. Add "
            "jax[cuda12] to the image of vertex.trainer_image, or set training.backend=tensorflow."
        ) from None
    return bool(jax.default_backend() != "cpu")


def _set_secrets() -> None:
    names = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
    for variable, name in names.items():
        if variable not in os.environ:
            os.environ[variable] = read_secret(name)


def _without_launcher(argv: Sequence[str]) -> list[str]:
    """Return the arguments without the output that the launcher of a custom job has written.

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
