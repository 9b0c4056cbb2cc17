"""The file of human labels, looked at before a run: whether it can be read, and its version."""

import hashlib

from components.errors import UserError
from components.llm_evaluator.labels import read_labels
from pipeline.files import read_text


def labels_version(uri: str) -> str:
    """A content hash of the labels, which TFX's cache cannot see through their path.

    Args:
        uri: `EvaluatorSettings.labels_uri`; empty where there are none.

    Returns:
        16 hexadecimal digits; empty where there are no labels.

    Raises:
        UserError: The file cannot be read, or holds labels that cannot be used.
    """
    if not uri:
        return ""
    try:
        text = read_text(uri)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The labels {uri!r} cannot be read: {error}. Set evaluator.labels_uri to a CSV in "
            "UTF-8, made with python -m components.llm_evaluator.sample_labels, or leave it empty."
        ) from error
    read_labels(text, uri)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
