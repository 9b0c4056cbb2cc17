"""What is written down about a round: its summary, and the provenance that its rows share."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from components.service_llm.settings import EmbedderSettings, ServiceLLMSettings
from components.service_llm.types import Usage
from components.synth_data_gen import templates
from components.synth_data_gen.one_round import Outcome
from components.synth_data_gen.rows import SPLITS, SyntheticRow
from components.synth_data_gen.settings import SynthSettings

_STAND_IN = "stand-in"


def shared_provenance(
    llm: ServiceLLMSettings, settings: SynthSettings, code_version: str
) -> dict[str, Any]:
    """What the provenance of all rows of a round tells: the generator, and the prompt versions."""
    return {
        "generator": {"provider": llm.provider, "model": llm.model, "code_version": code_version},
        "prompt_versions": templates.versions(settings.quality_rubric),
    }


def summarize(
    outcome: Outcome,
    splits: Mapping[str, Sequence[SyntheticRow]],
    *,
    round: int,
    llm: ServiceLLMSettings,
    embedder: EmbedderSettings | None,
    prompt_versions: Mapping[str, str],
    usage: Usage,
    embedding_usage: Usage,
) -> dict[str, Any]:
    """The contents of `synthesis.json`.

    Args:
        outcome: The round.
        splits: The rows of all rounds so far.
        round: The round, from 1.
        llm: The service LLM.
        embedder: The embedding model, if there is one.
        prompt_versions: Of the prompt texts.
        usage: What the service LLM used in this round.
        embedding_usage: What the embedding model used in this round.
    """
    generation = outcome.generation
    rounds = Counter(row.round for rows in splits.values() for row in rows)
    return {
        "round": round,
        "requested": generation.requested,
        "generated": generation.generated,
        "kept": len(generation.kept),
        "surplus": generation.surplus,
        "dropped": generation.dropped_counts(),
        "total_rows": rounds.total(),
        **{f"{split}_rows": len(splits[split]) for split in SPLITS},
        "rows_by_round": {str(key): count for key, count in sorted(rounds.items())},
        "seed_weights": {seed_id: float(f"{w:.3f}") for seed_id, w in outcome.weights.items()},
        "usage": dataclasses.asdict(usage + embedding_usage),
        "embedding_usage": dataclasses.asdict(embedding_usage),
        "generator": {
            "provider": llm.provider,
            "model": llm.model,
            "prompt_versions": dict(prompt_versions),
        },
        "embedding_model": embedder.model if embedder else None,
        "stand_in": llm.model.startswith(_STAND_IN),
    }
