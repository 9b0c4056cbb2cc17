"""Hides personal data from the model, as it was hidden from it in training.

The detectors are the pipeline's own, the package `task.privacy`: HFPusher copies it next to this
file, and on a machine it is on the path. It is imported only where the task redacts.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

NOTE = "Personal data is replaced with placeholders for the model, and put back into its response."


class PersonalData:
    """Replaces personal data in what a visitor writes, and puts it back.

    Args:
        settings: The `privacy` section of the preset; empty, or without `redact`, to leave texts as
            they are.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._privacy: Any = None
        if settings and settings.get("redact"):
            self._privacy = importlib.import_module("task.privacy")
            self._settings = self._privacy.PrivacySettings.model_validate(settings)

    @property
    def is_hidden(self) -> bool:
        """Whether anything is replaced."""
        return self._privacy is not None

    def hide(self, texts: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the texts of a conversation with placeholders, and what these stand for."""
        if self._privacy is None:
            return texts, {}
        found = self._privacy.redact(texts, self._settings)
        return found.texts, found.originals

    def restore(self, reply: str, originals: Mapping[str, str]) -> str:
        """Return a response with what its placeholders stand for; JSON stays JSON."""
        return str(self._privacy.restore_answer(reply, originals)) if originals else reply
