"""Opens the segments of a journal, wherever they are."""

from pathlib import Path

from core.bucket_uri import GCS
from core.errors import UserError
from service_llm.journal.segments import FolderSegments, Segments


def open_segments(uri: str) -> Segments:
    """Open the segments of a journal at a folder or `gs://` URI.

    Raises:
        UserError: The URI is of another kind, or the folder or bucket cannot be used.
    """
    if uri.startswith(GCS):
        # Imported here: a local run needs no client of Cloud Storage.
        from service_llm.journal.bucket import BucketSegments

        return BucketSegments(uri)
    if "://" in uri:
        raise UserError(
            f"The journal cannot be kept at {uri!r}. Use a local folder or a gs:// URI."
        )
    return FolderSegments(Path(uri))
