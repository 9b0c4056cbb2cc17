"""The last look: the kept round on the `test` split, which no round before had judged."""

from collections.abc import Mapping

from core.reports.rates import Rate, RateEstimate, RelativeRate
from core.reports.report import Part
from core.reports.strict import StrictPart


class LastLook(Part):
    """What the tuned model of the kept round does on prompts that chose nothing.

    Attributes:
        holdout_looks: Rounds that were judged on the holdout before one of them was kept; with each
            of them the kept rate is more likely to be high by chance.
        models: Rates on the test split by model, by the gate's scorer: `tuned`, and `service` where
            it is measured.
        relative: The tuned model's rate in percent of the service LLM's; None without the latter.
        strict: Both models' answers compared with the references; empty where these are free text.
        corrected: The judge's rates corrected for its errors by people's labels, by model; empty
            without labels, or where they do not allow it.
        prediction_powered: The rates that people would find, of the models of which all answers to
            these prompts are in the label sheet.
        threshold_percent: The gate's threshold on these prompts, in percent of them.
        reached: Whether the tuned model reaches it here, too.
    """

    holdout_looks: int
    models: Mapping[str, Rate]
    relative: RelativeRate | None = None
    strict: Mapping[str, StrictPart] = {}
    corrected: Mapping[str, RateEstimate] = {}
    prediction_powered: Mapping[str, RateEstimate] = {}
    threshold_percent: float
    reached: bool
