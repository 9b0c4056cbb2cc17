"""Checks the file of human labels before a run, and hashes it for the cache."""

import hashlib

from core.storage import read_text
from judging.labels import read_labels


def labels_version(uri: str) -> str:
    """Hash the content of the labels, which TFX's cache cannot see through their path.

    Args:
        uri: `EvaluatorSettings.labels_uri`; empty where there are none.

    Returns:
        16 hexadecimal digits; empty where there are no labels.

    Raises:
        UserError: The file cannot be read, or holds labels that cannot be used.
    """
    if not uri:
        return ""
    text = read_text(
        uri,
        "Set evaluator.labels_uri to a CSV in UTF-8, made with `understudy sample-labels`, or "
        "leave it empty.",
    )
    read_labels(text, uri)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
