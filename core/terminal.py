"""Texts for a terminal of 80 columns, and for standard error."""

import contextlib
import sys
import textwrap

WIDTH = 80


def write_result(text: str) -> None:
    """Print what a command has found; its exit status says it, too, where nobody reads any more."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)  # noqa: T201


def write_error(text: str) -> None:
    """Write a line to standard error; nobody fails where that is closed, or its disk is full."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # or closed, or of another encoding
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def wrapped(text: str) -> str:
    """Wrap the lines that are longer than a terminal's, indented under their beginning."""
    return "\n".join(map(_wrapped, text.split("\n")))


def _wrapped(line: str) -> str:
    if len(line) <= WIDTH:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
