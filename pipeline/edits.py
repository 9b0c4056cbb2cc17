"""The edited rows of a round, on their way into the pipeline."""

from typing import NamedTuple


class Edits(NamedTuple):
    """The edited rows of a round.

    Attributes:
        paused_uri: The synthetic Examples before.
        uri: The edited rows.
        version: Hash of their content.
    """

    paused_uri: str
    uri: str
    version: str
