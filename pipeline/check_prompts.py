"""Whether prompt texts of the user's own are used for all rows."""

from collections.abc import Sequence

from components.synth_data_gen import templates as synth
from core.conversation import has_turns
from core.records import SEED_SPLIT, CoverageRow
from judging import templates as judging
from pipeline.config import Config


def raise_if_unused(config: Config, rows: Sequence[CoverageRow]) -> None:
    """Refuse a prompt text that some rows would not be asked about with, before anything is spent.

    Args:
        config: The configuration of a run.
        rows: The coverage rows.

    Raises:
        UserError: It names the text that is replaced, and the one that is not.
    """
    if any(row.references for row in rows):
        judging.check_own(judging.JUDGE_REFERENCES, config.evaluator)
    if any(has_turns(row.prompt) for row in rows if row.split == SEED_SPLIT):
        synth.check_own(synth.PROPOSE_CONVERSATIONS, config.synth)
        synth.check_own(synth.ANSWER_CONVERSATION, config.synth)
        judging.check_own(judging.ANSWER_CONVERSATION, config.evaluator)
