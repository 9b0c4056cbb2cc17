"""The base of every error that a user of the pipeline can cause and fix."""

import pydantic

EXIT_BAD_RESULT = 4
"""Exit status of a command that came to its end with a bad result: a worse model, a walk that went
back, an alarm. A drill that lost a request ends with 1, as an unexpected failure does."""


class UserError(Exception):
    """A message that names what was wrong, the value received, and what to do.

    Runners print it without a traceback and exit with status 2.
    """


class OutageError(UserError):
    """A service does not answer now: nothing has to be changed, and trying again later may help.

    A marker: a task on Vertex AI that ends with it is retried, one with another `UserError` is not.
    """


class ModelError(UserError, ValueError):
    """A model, its files or its settings cannot be used."""


class ModelOutageError(ModelError, OutageError):
    """A model could not be downloaded."""


def damaged(what: str, error: Exception) -> UserError:
    """Make the error for a file of an artifact that is not as a component wrote it.

    Args:
        what: The file, or the place in it.
        error: What is wrong with it.
    """
    return UserError(
        f"{what}: this is not what the component wrote ({_reason(error)}). Restore the file from a "
        "copy. Or run with another output_dir into which you copy the folder journal: everything "
        "is made again, and nothing is paid for again."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return " ".join(str(error).split())
