"""Hides personal data from the model, as it was hidden from it in training.

The detectors are the pipeline's own, the package `task.privacy`: HFPusher copies it next to this
file, and on a machine it is on the path. It is imported only where the task redacts.
"""

import importlib
import json
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
        if not originals:
            return reply
        if _is_json(reply):
            escaped = {
                name: json.dumps(text, ensure_ascii=False) for name, text in originals.items()
            }
            originals = {name: text[1:-1] for name, text in escaped.items()}
        return str(self._privacy.restore(reply, originals))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
