"""Addresses of the files that pages link to."""

import os
import urllib.parse
from pathlib import Path

from core import artifact_files
from core.bucket_uri import GCS

_BROWSER = "https://storage.cloud.google.com/"  # asks for the reader's login
_LEVELS = 4  # from an artifact to the output folder of a run on this machine


def address(uri: str, folder: Path) -> str:
    """Return the address of a file, for a page in a folder.

    Args:
        uri: A path, or a URI of the web or of Cloud Storage.
        folder: The page's. A path becomes relative to it, so that the output folder can be moved.
    """
    if uri.startswith(GCS):
        return _BROWSER + urllib.parse.quote(uri.removeprefix(GCS))
    if uri.startswith(("https://", "http://")):
        return uri
    return urllib.parse.quote(os.path.relpath(uri, folder))


def run_page_from(artifact_uri: str) -> str | None:
    """Return the address of the run's report, for a page in an artifact.

    Args:
        artifact_uri: The artifact's.

    Returns:
        The address; None where no folder above holds a report, as on Vertex AI.
    """
    if "://" in artifact_uri:
        return None
    folder = Path(artifact_uri).absolute()
    for parent in folder.parents[:_LEVELS]:
        if (parent / artifact_files.RUN_PAGE).is_file():
            return address(str(parent / artifact_files.RUN_PAGE), folder)
    return None
