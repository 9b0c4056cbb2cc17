"""Starts `local_runner.py` again and again, in processes that need not load TensorFlow and TFX.

One process loads everything and forks for each order, a line of JSON on its standard input: the
`arguments` of the runner, the `folder` to run in, and `faults`, functions of `tests.faults.inject`
with their arguments. Each fork is a process of its own that can be killed. Answers are lines of
JSON, too: `status`, the exit status or, negative, the signal, and `output`, what was printed.
"""

import importlib
import json
import os
import sys
import traceback

LOADED = (
    "local_runner",
    "pipeline.local.run",
    "pipeline.progress",
    "models.training.run_fn",
    "models.generation.generate",
    "models.preprocessing",
    "service_llm.providers.gemini",
    "tests.faults.inject",
)


def main():
    sys.path.insert(0, os.getcwd())
    for module in LOADED:
        importlib.import_module(module)
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    answers.write(json.dumps({"ready": True}) + "\n")
    for order in orders:
        answers.write(json.dumps(_forked(json.loads(order))) + "\n")


def _forked(order):
    end, start = os.pipe()
    process = os.fork()
    if process == 0:
        for descriptor in (1, 2):
            os.dup2(start, descriptor)
        os._exit(_run(order))
    os.close(start)
    with os.fdopen(end, "rb") as pipe:
        output = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(process, 0)
    return {"status": os.waitstatus_to_exitcode(status), "output": output}


def _run(order):
    """The life of a fork; returns the exit status."""
    import local_runner
    from tests.faults import inject

    os.chdir(order["folder"])
    status = 1
    try:
        for name, arguments in order["faults"].items():
            getattr(inject, name)(*arguments)
        status = local_runner.main(order["arguments"])
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    main()
