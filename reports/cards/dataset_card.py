"""Writes the card of a synthetic dataset: next to the rows, and completed for the Hub."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from huggingface_hub import DatasetCard
from pydantic import JsonValue

from core.base_model import License
from core.reports.synthesis import SynthesisRecord
from core.synthetic_records import GENERATED, LOGGED, PERSON, SYNTHETIC_SPLITS, SyntheticRow
from reports.rendering import render

_TEMPLATE = Path(__file__).parent / "templates" / "dataset_card.md.j2"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
# In the Hub's vocabulary, by the source of rows.
_CREATORS = {GENERATED: "machine-generated", LOGGED: "found", PERSON: "expert-generated"}
_LICENSE = "## License"
_FEATURES = {
    "id": "string",
    "prompt": "string",
    "output": "string",
    "provenance": "string",
    "round": "int64",
}


def render_card(record: SynthesisRecord, samples: Sequence[SyntheticRow]) -> str:
    """Render the card: YAML metadata and Markdown, as the Hub reads it.

    Texts of the data stand in code blocks, in which Markdown has no meaning.

    Args:
        record: The record of the round.
        samples: Some of the rows.
    """
    metadata = yaml.safe_dump(_metadata(record), sort_keys=False, allow_unicode=True)
    return render(_TEMPLATE, record=record, samples=samples, metadata=metadata.strip())


def complete_card(
    generated: str,
    *,
    instruction: str,
    languages: Sequence[str],
    splits: Sequence[str],
    model_id: str,
    is_local: bool = False,
    license: License | None = None,
) -> str:
    """Complete the card for the Hub with what only the push knows.

    Args:
        generated: The card that lies next to the rows.
        instruction: What the task asks for.
        languages: ISO 639-1 codes.
        splits: Names of the splits.
        model_id: The model that was trained on the rows.
        is_local: Whether the repositories are folders, which no name on the Hub leads to.
        license: The license of the rows; None where nobody named one.
    """
    card = DatasetCard(generated)
    card.data["language"] = list(languages)
    card.data["configs"] = [
        {
            "config_name": "default",
            "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in splits],
        }
    ]
    text = card.text.rstrip()
    if license:
        card.data["license"] = license.id
        if license.id == "other":
            card.data["license_name"] = license.name
        if license.link:
            card.data["license_link"] = license.link
        named = f"[{license.name}]({license.link})" if license.link else license.name
        # The heading stands before the samples, whose texts are the data's.
        text = text.replace(_LICENSE, f"{_LICENSE}\n\nThe rows are published under {named}.", 1)
    link = f"[{model_id}](https://huggingface.co/{model_id})"
    model = f"`{model_id}`, among the models of the same local hub," if is_local else link
    card.text = (
        f"{text}\n\n## The task\n\n{textwrap.indent(instruction.strip(), '    ')}"
        f"\n\n## The model\n\n{model} was trained on the split "
        "`train`. The terms of the service LLM apply to what it wrote.\n"
    )
    return str(card)


def _metadata(record: SynthesisRecord) -> Mapping[str, JsonValue]:
    """Return the metadata at the head of the card, in the Hub's vocabulary."""
    rows = dict(zip(SYNTHETIC_SPLITS, (record.train_rows, record.eval_rows), strict=True))
    size = next((name for top, name in _SIZES if record.total_rows < top), "n>1M")
    return {
        "pretty_name": record.title,
        "license": "unknown",  # unless `complete_card` is told
        "annotations_creators": ["machine-generated"],
        "language_creators": [
            creator for source, creator in _CREATORS.items() if record.sources.get(source)
        ],
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "tags": [
            *(["synthetic"] if record.generated_rows else []),
            "understudy",
            *(["stand-in"] if record.stand_in else []),
        ],
        "dataset_info": {
            "features": [{"name": name, "dtype": dtype} for name, dtype in _FEATURES.items()],
            "splits": [{"name": name, "num_examples": count} for name, count in rows.items()],
        },
    }
