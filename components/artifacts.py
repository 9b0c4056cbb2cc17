"""Artifact types of the pipeline.

Typed `PROPERTIES` do not compile for Vertex AI Pipelines, so values travel as custom properties
behind Python properties.
"""

from tfx.types import artifact
from tfx.types.system_artifacts import Dataset, Metrics


class Responses(artifact.Artifact):
    """A model's answers to every coverage prompt.

    Files: `responses.jsonl`, one `components.records.ResponseRow` per line.
    """

    TYPE_NAME = "components.Responses"
    TYPE_ANNOTATION = Dataset


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
