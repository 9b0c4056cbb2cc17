"""Why an answer ended, in the words of every API and log."""

from collections.abc import Mapping

# Where the APIs and their logs say why an answer ended, and how they say that tokens ran out.
_FINISHES = ("finish_reason", "finishReason", "finish_reasons", "stop_reason", "done_reason")
_WITH_FINISH = ("response_metadata", "generation_info", "kwargs")
_CUT = {"length", "max_tokens", "max_output_tokens", "max_length"}
_REFUSED = {
    *("safety", "recitation", "blocklist", "prohibited_content", "spii", "model_armor"),
    *("content_filter", "content_filtered", "guardrail_intervened", "refusal"),
}


def refuse_unfinished(fields: Mapping[str, object]) -> None:
    """Refuse an answer that ends where its tokens ran out, or where the service refused to go on.

    No model should learn to stop there.

    Args:
        fields: Of an answer, or of the row that it stands in; any API's or log's.

    Raises:
        ValueError: They say so.
    """
    for key in _FINISHES:
        reason = fields.get(key)
        for one in reason if isinstance(reason, list) else [reason]:
            word = str(one).lower().rpartition(".")[2]
            if word in _CUT:
                raise ValueError(f"the answer is cut off (the service stopped it with {one!r})")
            if word in _REFUSED:
                raise ValueError(f"the service refused to answer (it stopped with {one!r})")
    for inner in (fields.get(key) for key in _WITH_FINISH):
        if isinstance(inner, Mapping):
            refuse_unfinished(inner)
    incomplete = fields.get("incomplete_details")
    if isinstance(incomplete, Mapping):
        refuse_unfinished({"finish_reason": incomplete.get("reason")})
