"""What records have in common: a version in the file, and how a file is written and read."""

import json
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import pydantic

from core.errors import UserError, damaged
from core.storage import read_text
from core.text import rename_keys

SCHEMA_VERSION: Literal[2] = 2
_FIRST_VERSION = 1  # of files that name none


class Part(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A part of a record."""


class Report(Part, ser_json_inf_nan="constants"):
    """A record that is the content of a file.

    Attributes:
        schema_version: Of the file's fields; a new one whenever one of them is renamed or removed.
    """

    # Names that the first version had for today's; None where it cannot be read.
    first_version: ClassVar[Mapping[str, str] | None] = {}

    # Whether a run of the pipeline rewrites the file, so that damage is no loss.
    is_rewritten: ClassVar[bool] = False

    schema_version: Literal[2] = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the content of the file."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Self:
        """Read what `to_json` wrote, or a file of the first version.

        Args:
            text: The content of the file.
            source: Its path or URI, for messages.

        Raises:
            UserError: It is damaged, or of a version that cannot be read.
        """
        try:
            version = json.loads(text).get("schema_version", _FIRST_VERSION)
            if version == _FIRST_VERSION and cls.first_version is not None:
                text = rename_keys(text, cls.first_version)
            elif version != SCHEMA_VERSION:
                raise _unreadable(source, version)
            return cls.model_validate_json(text)
        except (ValueError, RecursionError, AttributeError) as error:
            raise cls._damaged(source, error) from error

    @classmethod
    def read(cls, uri: str) -> Self:
        """Read a file; see `from_json`.

        Args:
            uri: A local path, or a URI that TFX's file systems know.

        Raises:
            UserError: See `from_json`, or it cannot be read.
        """
        return cls.from_json(read_text(uri), uri)

    @classmethod
    def _damaged(cls, source: str, error: Exception) -> UserError:
        if not cls.is_rewritten:
            return damaged(source, error)
        return UserError(f"{source} is damaged. Run the pipeline again: it rewrites the file.")


def _unreadable(source: str, version: object) -> UserError:
    remedy = (
        "run the pipeline again, which rewrites the file: nothing is paid for again"
        if version == _FIRST_VERSION
        else "use the version of Understudy that wrote it, or a later one"
    )
    return UserError(
        f"{source} has schema version {version}; this version of Understudy reads "
        f"{SCHEMA_VERSION}. To go on, {remedy}."
    )
