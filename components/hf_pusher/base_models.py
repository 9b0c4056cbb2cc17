"""What a base model is to the Hub: its id, its family, its license and the notice this asks for."""

import dataclasses
import functools
import re
from pathlib import Path

import yaml

_HUB_IDS_FILE = Path(__file__).with_name("hub_ids.yaml")


@dataclasses.dataclass(frozen=True)
class License:
    """The license or terms of a base model; they apply to a model that was trained from it too.

    Attributes:
        id: As the Hub's metadata names it, https://huggingface.co/docs/hub/repositories-licenses
        name: For people.
        link: URL of the text; empty where it is not known.
        notice: What has to accompany a copy of the weights; empty where nothing has to.
    """

    id: str
    name: str
    link: str
    notice: str = ""


@dataclasses.dataclass(frozen=True)
class BaseModel:
    """The model that was trained further.

    Attributes:
        hub_id: Its `owner/name` on the Hub; None where that is not known.
        family: `gemma`, `mistral` or `llama`; None for another one.
        license: Its license; None where it is not known.
        is_random: Whether there is none, because the weights were random before the training.
    """

    hub_id: str | None
    family: str | None
    license: License | None
    is_random: bool = False


def _llama(version: str, folder: str, built_with: str = "", brand: str = "Llama") -> License:
    name = f"{brand} {version}"
    return License(
        id=f"llama{version}",
        name=f"{name} Community License",
        link=f"https://www.llama.com/{folder}/license/",
        notice=f"{built_with}{name} is licensed under the {name} Community License, "
        "Copyright © Meta Platforms, Inc. All Rights Reserved.",
    )


_GEMMA = License(
    id="gemma",
    name="Gemma Terms of Use",
    link="https://ai.google.dev/gemma/terms",
    notice="Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms",
)
_APACHE = License("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0")
# The first whose pattern a preset's name holds, in lower case without hyphens and underscores. The
# weights of a family's other models have other licenses, so no pattern is wider than it must be.
_FAMILIES = (
    (r"gemma4", "gemma", _APACHE),
    (r"gemma", "gemma", _GEMMA),
    (r"mistral.*7b|mistralnemo|magistralsmall", "mistral", _APACHE),
    (r"llama3\.3", "llama", _llama("3.3", "llama3_3", "Built with Llama. ")),
    (r"llama3\.2", "llama", _llama("3.2", "llama3_2", "Built with Llama. ")),
    (r"llama3\.1", "llama", _llama("3.1", "llama3_1", "Built with Llama. ")),
    (r"llama3", "llama", _llama("3", "llama3", "Built with Meta Llama 3. ", "Meta Llama")),
    (r"llama2|vicuna1\.5", "llama", _llama("2", "llama2")),
)
# The classes of KerasHub tell a family where the name of the preset does not; of Mistral and Llama
# they do not tell the license.
_CLASSES = (
    ("Gemma4", "gemma", _APACHE),
    ("Gemma", "gemma", _GEMMA),
    ("Mistral", "mistral", None),
    ("Llama", "llama", None),
)


def base_model(preset: str, backbone: str) -> BaseModel:
    """What is known of the model that a training began with.

    Args:
        preset: As `training.preset` names it, for example `gemma3_1b` or `hf://google/gemma-3-1b-it`.
        backbone: Name of the KerasHub class, for example `Gemma3Backbone`; may be empty.
    """
    if preset.startswith("random:"):
        return BaseModel(None, _by_class(backbone)[0], None, is_random=True)
    # The version of a Kaggle handle stands last, and is no name.
    name = re.sub(r"/\d+$", "", preset.rstrip("/")).rsplit("/", 1)[-1].split(":")[-1]
    hub_id = _hub_ids().get(name)
    if preset.startswith("hf://"):
        hub_id = preset.removeprefix("hf://")
    for pattern, family, its_license in _FAMILIES:
        if re.search(pattern, re.sub(r"[-_]", "", name.lower())):
            return BaseModel(hub_id, family, its_license)
    return BaseModel(hub_id, *_by_class(backbone))


def _by_class(backbone: str) -> tuple[str | None, License | None]:
    for prefix, family, its_license in _CLASSES:
        if backbone.startswith(prefix):
            return family, its_license
    return None, None


@functools.cache
def _hub_ids() -> dict[str, str]:
    ids: dict[str, str] = yaml.safe_load(_HUB_IDS_FILE.read_text(encoding="utf-8"))
    return ids
