"""Finds what a base model is to the Hub: its id, its family, its license and notice."""

import re

from core.base_model import RANDOM_PREFIX, BaseModel, License
from core.families import FAMILIES, family_named, plain_name
from core.family import Family


def base_model(preset: str, backbone: str) -> BaseModel:
    """Return what is known of the model that a training began with.

    Args:
        preset: As `training.preset` names it, for example `gemma3_1b` or `hf://google/gemma-3-1b-it`.
        backbone: Name of the KerasHub class, for example `Gemma3Backbone`; may be empty.
    """
    # A Kaggle handle ends with a version, which is no name.
    name = re.sub(r"/\d+$", "", preset.rstrip("/")).rsplit("/", 1)[-1].split(":")[-1]
    if preset.startswith(RANDOM_PREFIX):
        return BaseModel(None, _tag(family_named(backbone)), None, is_random=True)
    family = family_named(name) or family_named(backbone)
    hub_id = next((row.hub_ids[name] for row in FAMILIES if name in row.hub_ids), None)
    if preset.startswith("hf://"):
        hub_id = preset.removeprefix("hf://")
    return BaseModel(hub_id, _tag(family), _license(family, name))


def _tag(family: Family | None) -> str | None:
    return family.tag if family else None


def _license(family: Family | None, name: str) -> License | None:
    licenses = family.licenses if family else {}
    found = (text for pattern, text in licenses.items() if re.search(pattern, plain_name(name)))
    return next(found, None)
