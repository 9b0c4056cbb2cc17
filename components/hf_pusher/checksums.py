"""Whether what is pushed is what was trained."""

from pathlib import Path

from components.hf_pusher.errors import PushError
from components.hf_pusher.hub import Content

_CHECKSUMS_FILE = "SHA256SUMS"


def refuse_damaged(model_dir: Path, content: Content) -> None:
    """Raise unless the files of a model are those that the Trainer wrote and summed up.

    Args:
        model_dir: Local folder that the Trainer wrote. Without checksums, as earlier versions wrote
            it, nothing is checked.
        content: What is going to be pushed.

    Raises:
        PushError: A file is missing or another one.
    """
    checksums = model_dir / _CHECKSUMS_FILE
    if not checksums.is_file():
        return
    found = {
        source.relative_to(model_dir).as_posix(): content.hashes[path]
        for path, source in content.files.items()
        if isinstance(source, Path)
    }
    for line in checksums.read_text(encoding="utf-8").splitlines():
        checksum, _, path = line.partition("  ")
        if found.get(path) != checksum:
            raise PushError(
                f"The file {path!r} of the model at {str(model_dir)!r} is not as the Trainer wrote "
                "it: it is damaged. Nothing was pushed. Restore it from a copy. Or remove the "
                f"folder {str(model_dir.parent)!r} and run again: the model is trained anew."
            )
