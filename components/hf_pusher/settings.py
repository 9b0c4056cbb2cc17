"""Where HFPusher pushes and under which names; holds the name of a token, never a token."""

from typing import Literal, Self

import pydantic

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class PushSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The destination of a push and what is pushed.

    Attributes:
        destination: `hub` needs a token and fails without one, `local` never uses the network,
            `auto` is `hub` where a token is found and `local` elsewhere.
        owner: User or organization that owns the repositories; None for the token's user.
        name: Name of the repositories, the same for model, dataset and Space; None for the
            task's name with hyphens.
        private: Create new repositories as private; existing ones keep their visibility.
        endpoint: URL of the Hub; None for the client's default, which reads `HF_ENDPOINT`.
        token_env: Name of the environment variable that holds the token. Where it is unset,
            `token_secret` is read, then the login of the `hf` command.
        token_secret: Secret Manager's name of the token, `projects/P/secrets/S/versions/V`.
        push_dataset: Also push the synthetic dataset.
        push_space: Also push the Space.
        local_hub_dir: Folder of the local destination, relative to the working directory.
        base_model: The base model's id on the Hub, for the model card; None derives it from the
            preset that was trained.
        license: The base model's license, as the Hub's metadata names it; None derives it from the
            preset that was trained.
        license_name: Its name for people, where the Hub has no word for it (`license: other`).
        license_link: The terms of the base model; None for those of a license that is known.
        languages: ISO 639-1 codes of the task's languages.
    """

    destination: Literal["auto", "hub", "local"] = "auto"
    owner: str | None = pydantic.Field(None, pattern=_NAME, max_length=42)
    name: str | None = pydantic.Field(None, pattern=_NAME, max_length=96)
    private: bool = True
    endpoint: str | None = pydantic.Field(None, pattern=r"^https?://")
    token_env: str = pydantic.Field("HF_TOKEN", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)
    token_secret: str | None = pydantic.Field(
        None, pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
    )
    push_dataset: bool = True
    push_space: bool = True
    local_hub_dir: str = "output/hub"
    base_model: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    languages: tuple[str, ...] = ("en",)

    @pydantic.field_validator("token_env")
    @classmethod
    def _is_no_token(cls, value: str) -> str:
        # The message must not repeat the value: it would put the token into a log.
        if value.startswith("hf_"):
            raise ValueError("token_env takes the NAME of an environment variable, not a token")
        return value

    @pydantic.model_validator(mode="after")
    def _names_another_license(self) -> Self:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ValueError(
                "license=other needs license_name and license_link: the Hub has no word for it"
            )
        return self

    def repository_name(self, task_name: str) -> str:
        """The name of the repositories, without the owner."""
        return self.name or task_name.replace("_", "-")
