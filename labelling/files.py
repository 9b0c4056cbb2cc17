"""The decisions of earlier sessions, and a folder that one server holds."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pydantic

from core.claim import claim_file
from core.errors import UserError
from core.jsonl import read_rows
from judging.output_fields import read_fields

Decision = TypeVar("Decision", bound=pydantic.BaseModel)


def read_decisions(path: Path, kind: type[Decision]) -> list[Decision]:
    """Read the decisions of earlier sessions, one JSON object a line; none without the file.

    Raises:
        UserError: The file cannot be read, or a line is not a decision.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{str(path)!r} cannot be read: {error}.") from error
    return read_rows(text, str(path), kind.model_validate_json)


def check_edited(text: str, original: str, instead: str) -> None:
    """Check a reference that a person has edited.

    Args:
        text: The edited reference.
        original: What it was edited from.
        instead: What can be done instead, for messages: `reject the request`.

    Raises:
        UserError: It is empty, or no JSON object where the original is one.
    """
    if not text.strip():
        raise UserError(f"The edited reference is empty. Write one, or {instead}.")
    if read_fields(original) is not None and read_fields(text) is None:
        raise UserError(
            f"The original is a JSON object, and the edited reference is not: {text[:80]!r}. "
            f"Correct it, or {instead}."
        )


@contextlib.contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Create a folder and keep a second labelling server out of it.

    Raises:
        UserError: It cannot be written, or another server holds it.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(
                claim_file(
                    folder / ".lock",
                    f"Another `understudy label` is using {str(folder)!r}. Both raters can use its "
                    "page at the same time; or stop it first.",
                )
            )
        except OSError as error:
            raise UserError(
                f"The folder {str(folder)!r} for labels cannot be written: {error.strerror}."
            ) from error
        yield
