"""Verify checksums before the push."""

from pathlib import Path

from components.hf_pusher.errors import PushError
from components.hf_pusher.hub import Content
from core.artifact_files import CHECKSUMS


def refuse_damaged(model_dir: Path, content: Content, *, artifact_dir: Path) -> None:
    """Raise unless the files of a model are those that were written and summed up.

    Args:
        model_dir: Local folder that the Trainer or the Exporter wrote. Without checksums, as in
            earlier versions, nothing is checked.
        content: What will be pushed.
        artifact_dir: The folder of its artifact, for messages.

    Raises:
        PushError: A file is missing or differs.
    """
    checksums = model_dir / CHECKSUMS
    if not checksums.is_file():
        return
    found = {
        source.relative_to(model_dir).as_posix(): content.hashes[path]
        for path, source in content.files.items()
        if isinstance(source, Path) and source.is_relative_to(model_dir)
    }
    for line in checksums.read_text(encoding="utf-8").splitlines():
        checksum, _, path = line.partition("  ")
        if found.get(path) != checksum:
            raise PushError(
                f"The file {path!r} of the model at {str(model_dir)!r} differs from what was "
                "written: it is damaged. Nothing was pushed. Restore it from a copy. Or remove "
                f"the folder {str(artifact_dir)!r} and run again: it is written again."
            )
