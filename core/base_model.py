"""What a base model is to people: where it is published and under which license."""

import dataclasses

# Forms of `training.preset` besides a folder, a built-in name and `SCHEME://…`.
PACKAGED, GGUF_PREFIX, RANDOM_PREFIX = "packaged:gemma3-270m", "gguf:", "random:"


@dataclasses.dataclass(frozen=True)
class License:
    """The license or terms of a base model; they apply to a model that was trained from it too.

    Attributes:
        id: As the Hub's metadata names it, https://huggingface.co/docs/hub/repositories-licenses
        name: For people.
        link: URL of the text; empty where it is not known.
        notice: What has to accompany a copy of the weights; empty where nothing has to.
        restrictions: What whoever passes the weights on has to pass on with them.
        wants_copy: Whether a copy of the text has to accompany the weights.
        name_prefix: What the name of a model that is made from this one begins with.
    """

    id: str
    name: str
    link: str
    notice: str = ""
    restrictions: str = ""
    wants_copy: bool = False
    name_prefix: str = ""


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


def expected_of_random_weights(preset: str) -> str:
    """Say that a coverage rate of 0 % is no fault; empty where the weights are not random."""
    if not preset.startswith(RANDOM_PREFIX):
        return ""
    return f"0 % is expected: {preset} has random weights."
