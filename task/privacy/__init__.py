"""Find personal data and secrets in texts, and replace them with placeholders and back."""

from task.privacy.detectors import (
    Finding,
    find,
    holds_any,
    holds_checked_number,
    without_keys,
)
from task.privacy.redaction import Redacted, placeholders_in, redact, restore, restore_answer
from task.privacy.settings import PrivacySettings

__all__ = [
    "Finding",
    "PrivacySettings",
    "Redacted",
    "find",
    "holds_any",
    "holds_checked_number",
    "placeholders_in",
    "redact",
    "restore",
    "restore_answer",
    "without_keys",
]
