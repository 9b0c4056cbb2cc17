"""Writes the README.md of the dataset and of the Space; the model's has a module of its own."""

import textwrap

import yaml
from huggingface_hub import DatasetCard

from components.hf_pusher.settings import PushSettings
from components.task import Task

TAG = "understudy"


def dataset_card(
    generated: str, settings: PushSettings, *, task: Task, splits: list[str], model_id: str
) -> str:
    """SynthDataGen's card of the data, with what only the push knows.

    Args:
        generated: The card that lies beside the rows.
        settings: For the languages.
        task: The task of the rows.
        splits: Names of the splits.
        model_id: The model that was trained on the rows.
    """
    card = DatasetCard(generated)
    card.data["language"] = list(settings.languages)
    card.data["configs"] = [
        {
            "config_name": "default",
            "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in splits],
        }
    ]
    instruction = textwrap.indent(task.instruction.strip(), "    ")
    card.text = (
        f"{card.text.rstrip()}\n\n## The task\n\n{instruction}\n\n## The model\n\n"
        f"[{model_id}](https://huggingface.co/{model_id}) was trained on the split `train`. The "
        "terms of the service LLM apply to what it wrote.\n"
    )
    return str(card)


def space_card(template: str, task: Task, model_id: str) -> str:
    """The README.md of the Space: the application's own, with title and model filled in."""
    _, block, body = template.split("---\n", 2)
    metadata = {**yaml.safe_load(block), "title": task.title, "models": [model_id]}
    dumped = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{dumped}---\n{body}"
