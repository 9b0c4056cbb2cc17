"""The `serving.capture` section."""

from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field


class CaptureSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """Whether exchanges are written to disk, where, and for how long.

    With `privacy.redact` of the preset, personal data is replaced before anything is written. API
    keys always are.
    """

    enabled: bool = False
    """Write every exchange of a task as a line of JSON. `capture: true` is short for
    `capture.enabled: true`."""

    folder: str | None = Field(None, min_length=1)
    """Folder of the files, which several gateways may share; None for `serving/capture` in
    `output_dir`. A bucket has to be mounted as a folder."""

    retention_days: int = Field(30, ge=1, le=3650)
    """Days that a captured exchange is kept at most: files are deleted as a whole, an hour at the
    latest after their first line is as old. A gateway does so even if it captures nothing now."""

    max_file_mib: int = Field(64, ge=1, le=4096)
    """MiB after which a new file starts; one starts every day, too."""

    queue_length: int = Field(1000, ge=1, le=100_000)
    """Exchanges that may wait to be written; further ones are dropped and counted."""

    def folder_in(self, state_dir: Path) -> Path:
        """Return the folder of the files.

        Args:
            state_dir: Of the gateway; holds the folder where none is set.
        """
        return Path(self.folder) if self.folder else state_dir / "capture"


def from_flag(value: Any) -> Any:
    """Return the section that `capture: true` or `false` means, or the value itself."""
    return {"enabled": value} if isinstance(value, bool) else value
