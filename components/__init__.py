"""The custom TFX components.

Vertex AI Pipelines resolves an artifact type by its `TYPE_NAME` as an import path, so the types are
reachable here; they are loaded on first use, because `service_llm` and the plain Python
next to each executor must import without TFX.
"""

from typing import Any

_ARTIFACT_TYPES = ("CoverageReport", "Exports", "Responses")


def __getattr__(name: str) -> Any:
    if name in _ARTIFACT_TYPES:
        from components import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
