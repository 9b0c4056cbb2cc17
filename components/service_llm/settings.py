"""Which service LLM answers, how fast it may be asked, and what may be spent."""

import os
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from components.errors import UserError

_FROM_ENVIRONMENT = "env:"
_THINKING_ROOM = 8192  # tokens, where nothing says how many; they cost nothing unless used
_KEYS_START = ("AIza", "sk_")  # of Google's keys; those of others hold characters no name has


class Price(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The price of a model's tokens.

    Attributes:
        prompt_usd_per_million_tokens: USD for a million tokens of prompts.
        output_usd_per_million_tokens: USD for a million tokens of replies, thinking included.
    """

    prompt_usd_per_million_tokens: float = Field(ge=0, allow_inf_nan=False)
    output_usd_per_million_tokens: float = Field(ge=0, allow_inf_nan=False)


class ServiceLLMSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A service LLM; it holds the names of secrets, never a secret.

    Attributes:
        provider: `gemini` (Google AI Studio, or Vertex AI where `vertex_project` is set) or
            `openai` (any endpoint that speaks OpenAI's chat completions).
        model: The model's name at the provider.
        model_version: Where the provider moves the name to newer versions (`gemini-flash-latest`),
            what tells them apart: with another value all requests are new to the journal.
        thinking: How much the model thinks before it replies: tokens (Gemini 2.5; 0 for not at all)
            or a level (Gemini 3, OpenAI's reasoning models); None leaves it to the provider.
        base_url: Another endpoint; `env:NAME` reads it from the environment when it is used.
        api_key_env: Name of the environment variable with the API key; None sends no key.
        api_key_secret: Secret Manager's name of the key, used where the variable is unset.
        vertex_project: Google Cloud project; Vertex AI is used with the application's default
            credentials.
        vertex_location: Region of Vertex AI, or `global`.
        requests_per_minute: Requests sent in any minute at most.
        tokens_per_minute: Tokens of prompts and replies in any minute at most; None for no limit.
        requests_per_day: Requests in 24 hours at most; None for no limit. Those that the journal
            knows of earlier runs count.
        max_concurrency: Requests under way at most; fewer while the service is overloaded. The
            quota and the service's latency keep them fewer, too, so this is for a server of your
            own that answers only so many at once.
        timeout_seconds: Seconds to wait for one reply.
        max_attempts: Times a request is sent at most, the first one included.
        retry_seconds: Seconds before the first retry; doubled at each further one, with jitter.
        batch: Whether requests go out as jobs of the Gemini Batch API (Google AI Studio): half the
            price, answered within a day. The pipeline waits for them; interrupted, it finds them
            again.
        batch_poll_seconds: Seconds between two looks at a batch job.
        price: Where it differs from `prices.yaml`, or the model is not listed there.
        budget_usd: No request is sent once the journal's replies have cost this; None for no limit.
        log_prompts: Whether prompts and replies are written to the log.
    """

    provider: Literal["gemini", "openai"]
    model: str = Field(min_length=1)
    model_version: str = ""
    thinking: (
        Annotated[int, Field(ge=0, le=65_536)] | Literal["minimal", "low", "medium", "high"] | None
    ) = None
    base_url: str | None = None
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)
    api_key_secret: str | None = Field(
        None, pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
    )
    vertex_project: str | None = None
    vertex_location: str = "global"
    requests_per_minute: int = Field(60, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    requests_per_day: int | None = Field(None, ge=1)
    max_concurrency: int = Field(2048, ge=1, le=4096)
    timeout_seconds: float = Field(120, gt=0)
    max_attempts: int = Field(6, ge=1, le=20)
    retry_seconds: float = Field(1.0, ge=0)
    batch: bool = False
    batch_poll_seconds: float = Field(60, gt=0)
    price: Price | None = None
    budget_usd: float | None = Field(None, gt=0)
    log_prompts: bool = False

    @pydantic.field_validator("api_key_env")
    @classmethod
    def _is_no_key(cls, name: str | None) -> str | None:
        if name and name.startswith(_KEYS_START):
            raise ValueError(
                "this is a key itself. Export it as a variable, and give the variable's name here"
            )
        return name

    @pydantic.model_validator(mode="after")
    def _provider_fits(self) -> Self:
        if self.provider == "openai" and self.vertex_project:
            raise ValueError("vertex_project goes with provider 'gemini' only")
        if self.provider == "openai" and isinstance(self.thinking, int):
            raise ValueError(
                f"thinking is {self.thinking}; provider 'openai' takes minimal, low, medium or high"
            )
        if self.batch and (self.provider != "gemini" or self.vertex_project):
            raise ValueError(
                "batch goes with provider 'gemini' at Google AI Studio (api_key_env) only; set it "
                "to false, or remove vertex_project"
            )
        known = (self.vertex_project, self.api_key_env, self.api_key_secret, self.base_url)
        if self.provider == "gemini" and not any(known):
            raise ValueError(
                "nothing says how to sign in; set vertex_project (Vertex AI), or api_key_env or "
                "api_key_secret (Google AI Studio)"
            )
        return self

    def resolved_base_url(self) -> str | None:
        """The endpoint's URL, or None for the provider's own.

        Raises:
            UserError: The environment variable that is named is not set.
        """
        if not self.base_url or not self.base_url.startswith(_FROM_ENVIRONMENT):
            return self.base_url
        name = self.base_url.removeprefix(_FROM_ENVIRONMENT)
        if name not in os.environ:
            raise UserError(
                f"The service LLM's base_url is to be read from {name}, which is not set. "
                f"Set {name} to the URL of the service."
            )
        return os.environ[name]

    def most_output_tokens(self, reply_tokens: int) -> int:
        """Tokens to ask for: those of the reply, and room for what is thought before it.

        Args:
            reply_tokens: Tokens of the reply at most.
        """
        if isinstance(self.thinking, int):
            return reply_tokens + self.thinking
        thinks = self.thinking is not None or self.provider == "gemini"
        return reply_tokens + _THINKING_ROOM if thinks else reply_tokens

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What answers: provider, project or endpoint, model, version; part of the journal's key.

        The endpoint as it is configured, so that a port that changes makes no request new.
        """
        place = self.vertex_project or self.base_url or ""
        return (self.provider, place, self.model, self.model_version)

    @property
    def quota(self) -> tuple[str, ...]:
        """What shares a quota: a model, in a project, an account or at an endpoint."""
        account = (self.api_key_env, self.api_key_secret)
        place = (self.vertex_project, self.vertex_location) if self.vertex_project else account
        return (self.provider, *(part or "" for part in (*place, self.base_url)), self.model)


class EmbedderSettings(ServiceLLMSettings, frozen=True, extra="forbid"):
    """A service that turns texts into vectors: Gemini's or OpenAI's embeddings.

    Attributes:
        dimensions: Numbers of a vector; None for as many as the model gives.
    """

    dimensions: int | None = Field(None, ge=1)

    @pydantic.model_validator(mode="after")
    def _is_no_language_model(self) -> Self:
        if self.batch or self.thinking is not None:
            name = "batch" if self.batch else "thinking"
            raise ValueError(f"{name} is for requests to a language model; leave it out")
        return self

    def most_output_tokens(self, reply_tokens: int) -> int:
        """None, of whatever number: the reply is a vector."""
        return 0
