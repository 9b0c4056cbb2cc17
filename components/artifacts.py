"""Artifact types of the pipeline.

Typed `PROPERTIES` do not compile for Vertex AI Pipelines, so values travel as custom properties
behind Python properties.
"""

from collections.abc import Sequence

from tfx.types import artifact
from tfx.types.system_artifacts import Dataset, Metrics
from tfx.types.system_artifacts import Model as SystemModel


class Responses(artifact.Artifact):
    """A model's answers to every coverage prompt.

    Files: `responses.jsonl`, one `core.records.ResponseRow` per line.
    """

    TYPE_NAME = "components.Responses"
    TYPE_ANNOTATION = Dataset


class Exports(artifact.Artifact):
    """A blessed model in the formats of other programs.

    Files: a folder for each format; `exports.json`, by format how it compared with the model when
    it was loaded again; `SHA256SUMS`. There is none where the model was not blessed, or no format
    was wanted.
    """

    TYPE_NAME = "components.Exports"
    TYPE_ANNOTATION = SystemModel

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the folders."""
        return tuple(self.get_string_custom_property("formats").split())

    @formats.setter
    def formats(self, names: Sequence[str]) -> None:
        self.set_string_custom_property("formats", " ".join(names))


class CoverageReport(artifact.Artifact):
    """The service LLM's verdicts on a model's responses.

    Files: `coverage_report.json` (the rates), `verdicts.jsonl` (one line per model and coverage
    prompt) and `evaluation.html` (both as a page that opens from disk).
    """

    TYPE_NAME = "components.CoverageReport"
    TYPE_ANNOTATION = Metrics

    @property
    def coverage_rate(self) -> float:
        """Covered prompts in percent of all prompts of the gate's split, 0 to 100."""
        return float(self.get_float_custom_property("coverage_rate"))

    @coverage_rate.setter
    def coverage_rate(self, percent: float) -> None:
        self.set_float_custom_property("coverage_rate", percent)

    @property
    def round(self) -> int:
        """The round that trained the model, from 1."""
        return int(self.get_int_custom_property("round"))

    @round.setter
    def round(self, number: int) -> None:
        self.set_int_custom_property("round", number)
