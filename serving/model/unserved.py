"""A preset's task as it would be served, without a model: enough to say what would match it."""

from core.errors import UserError
from serving.gateway.task import ServedTask, TokenCounter
from serving.model.kept_round import KeptRound
from serving.model.plan import context_length
from serving.model.tokens import TrainedTokenizer
from serving.preset import ServedPreset

_NOT_RUNNING = "http://127.0.0.1:9/v1"  # nothing is asked
_NO_LIMIT = 2**31


def unserved_task(preset: ServedPreset) -> ServedTask:
    """Return the task of a preset; without a run, no prompt is too long for it."""
    settings = preset.settings
    try:
        kept: KeptRound | None = KeptRound.find(preset.output_dir)
    except UserError:
        kept = None
    return ServedTask(
        name=preset.task.name,
        instruction=preset.task.instruction,
        accepted_instructions=settings.accepted_instructions,
        match=settings.match,
        template=settings.template,
        model_alias=settings.model_alias,
        model="",
        round=kept.round if kept else 0,
        hash="",
        base_url=_NOT_RUNNING,
        api_model="",
        context_length=context_length(kept) if kept else _NO_LIMIT,
        max_output_tokens=kept.max_output_tokens if kept else 1,
        count_tokens=_counter(kept),
        learned_turns=preset.learned_turns,
    )


def _counter(kept: KeptRound | None) -> TokenCounter:
    if kept and TrainedTokenizer.exists(kept.model_dir):
        return TrainedTokenizer(kept.model_dir)
    return lambda messages: 0
