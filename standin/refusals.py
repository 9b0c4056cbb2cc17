"""Writes down what the stand-in refuses, for who asks for it by a variable of the environment.

A refusal may be adapted to, or be one of many, so that nobody sees it: a program that holds all
requests to be right, such as the project's tests, reads them here, from all its processes.
"""

import os

from standin.errors import HttpError

REFUSALS_VARIABLE = "STANDIN_REFUSALS_FILE"
BAD_REQUESTS = (400, 404)


def write_down(where: str, error: HttpError) -> None:
    """Append a refusal of a bad request to the file that the variable names, as one line.

    Args:
        where: The path of the request.
        error: What it is answered with; ignored where it is not the request's fault.
    """
    if error.code in BAD_REQUESTS and (file := os.environ.get(REFUSALS_VARIABLE)):
        line = f"{where}: {error.code} {' '.join(error.message.split())}\n"
        with open(file, "a", encoding="utf-8") as opened:
            opened.write(line)
