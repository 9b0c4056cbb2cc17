"""Where HFPusher pushes and under which names; holds the name of a token, never a token."""

import re
from typing import Annotated, Literal, Self

import pydantic

from components.hf_pusher.hub_rules import (
    check_language,
    check_license,
    check_name,
    check_repository_id,
)
from core.key_names import NamedAddress, VariableName

_Name = Annotated[str, pydantic.AfterValidator(check_name)]
_RepositoryId = Annotated[str, pydantic.AfterValidator(check_repository_id)]
_Language = Annotated[str, pydantic.AfterValidator(check_language)]
_License = Annotated[str, pydantic.AfterValidator(check_license)]


class PushSettings(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """The destination of a push and what is pushed."""

    destination: Literal["auto", "hub", "local"] = "auto"
    """`hub` needs a token and fails without one, `local` never uses the network, `auto` is `hub`
    where `token_env` or `token_secret` gives a token and `local` elsewhere."""

    approve: bool = False
    """Whether a run stops before the push of a blessed model, so that a person can look at it; the
    next run pushes. On this machine only: Vertex AI refuses it."""

    owner: _Name | None = pydantic.Field(None, max_length=42)
    """User or organization that owns the repositories; None for the token's user."""

    name: _Name | None = None
    """Name of the repositories, the same for model, dataset and Space; None for the task's name
    with hyphens, after `Llama-` where the base model's license asks for it."""

    private: bool = True
    """Create new repositories as private; existing ones keep their visibility."""

    endpoint: NamedAddress | None = pydantic.Field(None, pattern=r"^https?://")
    """URL of the Hub; None for the client's default, which reads `HF_ENDPOINT`."""

    token_env: VariableName = "HF_TOKEN"
    """Name of the environment variable that holds the token. Where it is unset, `token_secret` is
    read, then, with `destination: hub` only, the login of the `hf` command."""

    token_secret: str | None = pydantic.Field(
        None, pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
    )
    """Secret Manager's name of the token, `projects/P/secrets/S/versions/V`."""

    push_dataset: bool | None = None
    """Also push the dataset that the model was trained on; None pushes it unless it holds logged
    exchanges of real users (`synth.train_on_rest`), which only `true` uploads."""

    push_space: bool = True
    """Also push the Space."""

    local_hub_dir: str = "output/hub"
    """Folder of the local destination, relative to the working directory; where it is not set,
    `hub` in `output_dir`."""

    base_model: _RepositoryId | None = None
    """The base model's id on the Hub, for the model card; None derives it from the preset that was
    trained."""

    license: _License | None = None
    """The base model's license, as the Hub's metadata names it; None derives it from the preset
    that was trained."""

    license_name: str | None = None
    """Its name for people, where the Hub has no identifier for it (`license: other`)."""

    license_link: str | None = None
    """The terms of the base model; None for those of a license that is known."""

    license_file: str | None = None
    """Text file with the terms of the base model, a path or `gs://` URI, which is pushed as
    `LICENSE`: Gemma's and Llama's have to accompany the weights. Gemma's are pushed without it
    where the packaged Gemma is installed."""

    dataset_license: _License | None = None
    """The license of the pushed rows, as the Hub's metadata names it; None says `unknown`: the
    terms of the service LLM decide, and the rights in the seeds and logged exchanges."""

    dataset_license_name: str | None = None
    """Its name for people, where the Hub has no identifier for it (`dataset_license: other`)."""

    dataset_license_link: str | None = None
    """Its text."""

    languages: tuple[_Language, ...] = ("en",)
    """ISO 639 codes of the task's languages."""

    @pydantic.model_validator(mode="after")
    def _names_another_license(self) -> Self:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ValueError(
                "license=other needs license_name and license_link: the Hub has no identifier for "
                "it"
            )
        if self.dataset_license == "other" and not (
            self.dataset_license_name and self.dataset_license_link
        ):
            raise ValueError(
                "dataset_license=other needs dataset_license_name and dataset_license_link"
            )
        named = self.dataset_license_name or self.dataset_license_link
        if named and self.dataset_license is None:
            raise ValueError(
                "dataset_license_name and dataset_license_link have no effect without a "
                "dataset_license; set it, for example to other"
            )
        return self

    def pushes_dataset(self, *, has_logged: bool) -> bool:
        """Return whether the dataset is pushed.

        Args:
            has_logged: Whether logged exchanges of real users are, or were, among its rows.
        """
        return not has_logged if self.push_dataset is None else self.push_dataset

    def repository_name(self, task_name: str, prefix: str = "") -> str:
        """Return the name of the repositories, without the owner.

        Args:
            task_name: Names them where the settings do not.
            prefix: What stands before the task's name.
        """
        return self.name or prefix + re.sub("_+", "-", task_name).strip("-")
