"""What a base model is to people: where it is published and under which license."""

import dataclasses


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
