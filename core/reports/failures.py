"""What the report answers about failures: their clusters, and the mix of output values."""

from collections.abc import Mapping

from core.reports.report import Part


class FailureCluster(Part):
    """Answers with the same mistake.

    Attributes:
        field: The wrong field, or `label`; empty where the answer as a whole is the mistake.
        reference: Its value in the references.
        answered: Its value in the answers, or what is wrong with them as a whole.
        ids: Ids of the coverage rows, sorted.
    """

    field: str
    reference: str
    answered: str
    ids: tuple[str, ...]

    @property
    def text(self) -> str:
        """The cluster in words, such as "19 x priority: low answered normal"."""
        if not self.field:
            return f"{len(self.ids)} x {self.answered}"
        return f"{len(self.ids)} x {self.field}: {self.reference} answered {self.answered}"


class ValueShare(Part):
    """How often an output value appears; `percent` by the name of the set of outputs."""

    value: str
    percent: Mapping[str, float]
