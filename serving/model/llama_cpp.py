"""llama.cpp's server with one GGUF file, as a process that ends with its parent.

`python -m serving.model.llama_cpp SPEC` prints the server's URL once the weights are loaded.
The API is that of https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import pydantic

_PARENT_SECONDS = 1.0  # between two looks at whether the parent still lives


class LlamaCppSpec(pydantic.BaseModel, frozen=True):
    """What the server loads and how much it computes at once.

    Attributes:
        gguf: The GGUF file.
        alias: Name of the model in answers.
        port: Where to listen on 127.0.0.1; 0 picks a free port.
        context_length: Tokens of a prompt and its response at most.
        slots: Requests that are computed at once; further ones wait in the server.
    """

    gguf: Path
    alias: str
    port: int = 0
    context_length: int = pydantic.Field(ge=1)
    slots: int = pydantic.Field(ge=1)


def serve(spec: LlamaCppSpec) -> None:
    """Serve until the parent ends or closes this process's standard input."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(spec.gguf)
    params.model_alias = {spec.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = spec.port
    params.n_parallel = spec.slots
    params.n_ctx = spec.context_length * spec.slots  # of all slots together
    params.kv_unified = False
    params.use_jinja = True
    params.ui = False
    params.n_cache_reuse = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    _wait_for_parent()
    # Destroying the server waits for what it computes; nobody is left to read that.
    os._exit(0)


def _wait_for_parent() -> None:
    """Return once the parent has gone, was replaced, or closed the pipe."""
    parent, gone = os.getppid(), threading.Event()

    def read() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        gone.set()

    threading.Thread(target=read, daemon=True).start()
    # A copy of the pipe in another child of the parent would keep it open.
    while not gone.wait(_PARENT_SECONDS):
        if os.getppid() != parent:
            return


def main() -> None:
    """Serve what the first argument says, a `LlamaCppSpec` as JSON."""
    # Ctrl-C is for the parent, which ends this process after the requests that are in flight.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(LlamaCppSpec.model_validate_json(sys.argv[1]))


if __name__ == "__main__":
    main()
