"""Runs the labelling page on this machine until it is interrupted."""

import contextlib
import socket
from collections.abc import Callable

import uvicorn

from core.errors import UserError
from labelling.app import make_app
from labelling.candidates import CandidateQueue
from labelling.files import claim_folder
from labelling.label_queue import LabelQueue
from labelling.references import ReferenceQueue
from labelling.run import LabelledRun

_HOST = "127.0.0.1"


def serve_labelling(run: LabelledRun, title: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the page on the loopback interface; return after Ctrl-C.

    Args:
        run: What is labelled.
        title: Title of the task.
        port: To listen on; 0 for a free one.
        say: Prints a line.

    Raises:
        UserError: The port is taken, or the folder cannot be used.
    """
    with claim_folder(run.folder), _listen(port) as listener:
        labels, references, candidates = LabelQueue(run), ReferenceQueue(run), CandidateQueue(run)
        say(
            f"Labels of {len(labels.sheet.rows)} answers of {run.model} on {run.split}, and "
            f"{len(references.suspects)} suspect references, in {run.folder}."
            + (f" {len(candidates.candidates)} candidates from traffic." * bool(run.candidates))
        )
        config = uvicorn.Config(
            make_app(title, labels, references, candidates),
            log_config=None,  # uvicorn's own closes the handlers of the whole process
            log_level="error",
            lifespan="off",
            ws="none",
        )
        with contextlib.suppress(KeyboardInterrupt):
            say(f"Open http://{_HOST}:{listener.getsockname()[1]}/ and stop with Ctrl-C.")
            uvicorn.Server(config).run(sockets=[listener])
        say(f"Labels are in {labels.path}. Run the same command to resume.")


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen()  # before its address is printed, so that nobody is refused
    except OSError as error:
        listener.close()
        raise UserError(
            f"Port {port} of this machine cannot be used: {error.strerror}. Choose another one "
            "with --port, or 0 for any free one."
        ) from error
    return listener
