"""The files of a round that its report links to, and how a file is replaced."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from core import artifact_files
from core.reports.loop import PushRecord, RoundSummary
from reports.links import address

_MAIN = "main"  # of a repository in the local hub, its newest files


class File(NamedTuple):
    """A file or folder: what it is, and its address as seen from the report."""

    name: str
    address: str


def round_files(entry: RoundSummary, folder: Path) -> list[File]:
    """Return the pages, the model and the cards of a round, in the order in which they were made.

    Args:
        entry: The round.
        folder: The report's.
    """
    at = entry.artifacts
    found = [
        ("dataset", f"{at.synthetic}/{artifact_files.DATASET_PAGE}"),
        ("dataset card", f"{at.synthetic}/{artifact_files.CARD}"),
        ("model", f"{at.model}/{artifact_files.SERVING_FOLDER}"),
        ("evaluation", f"{at.report}/{artifact_files.EVALUATION_PAGE}"),
    ]
    if entry.pushed:
        found.append(("model card", _model_card(entry.pushed)))
    return [File(name, address(uri, folder)) for name, uri in found]


def _model_card(pushed: PushRecord) -> str:
    """Return where the card is: the Hub shows it on the repository's page."""
    if not pushed.local:
        return pushed.destination
    return f"{pushed.destination}/{_MAIN}/{artifact_files.CARD}"


def replace_file(path: Path, text: str) -> None:
    """Write a text file; a reader sees the old or the new content, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)  # a temporary file is its owner's alone
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
