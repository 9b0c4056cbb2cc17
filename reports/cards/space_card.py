"""Writes the README.md of a Space: the application's own, with title and model filled in."""

import yaml

_MAX_SHORT = 60  # characters of the short description that the Hub takes


def space_card(template: str, *, title: str, model_id: str) -> str:
    """Fill in the card of the application.

    Args:
        template: The application's README.md.
        title: The task's name for people.
        model_id: The model repository.
    """
    _, block, body = template.split("---\n", 2)
    metadata = {**yaml.safe_load(block), "title": title, "models": [model_id]}
    short = f"{title} by a small model"
    if len(short) <= _MAX_SHORT:
        metadata["short_description"] = short
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)}---\n{body}"
