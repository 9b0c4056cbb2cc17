"""Which service LLM answers, how fast it may be asked, and what may be spent."""

import os
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import pydantic
from pydantic import Field

from core.errors import UserError
from core.key_names import FROM_ENVIRONMENT, VariableName, check_named_address, is_key
from service_llm.addresses import problem_with
from service_llm.limits import limits_of
from service_llm.provider_table import EMBEDDERS, PROVIDERS

_THINKING_ROOM = 8192  # tokens, where nothing says how many; they cost nothing unless used


class Price(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """The price of a model's tokens."""

    prompt_usd_per_million_tokens: float = Field(ge=0, allow_inf_nan=False)
    """USD for a million tokens of prompts."""

    output_usd_per_million_tokens: float = Field(ge=0, allow_inf_nan=False)
    """USD for a million tokens of replies, thinking included."""


class ServiceLLMSettings(
    pydantic.BaseModel,
    frozen=True,
    extra="forbid",
    use_attribute_docstrings=True,
    hide_input_in_errors=True,
):
    """A service LLM; it holds the names of secrets, never a secret."""

    _providers: ClassVar[Mapping[str, str]] = PROVIDERS

    provider: str = Field(json_schema_extra={"enum": list(PROVIDERS)})
    """`gemini` (Google AI Studio, or Vertex AI where `vertex_project` is set) or `openai` (any
    endpoint that speaks OpenAI's chat completions)."""

    model: str = Field(min_length=1)
    """The model's name at the provider."""

    model_version: str = ""
    """Where the provider moves the name to newer versions (`gemini-flash-latest`), what tells them
    apart: with another value all requests are new to the journal."""

    thinking: (
        Annotated[int, Field(ge=0, le=65_536)] | Literal["minimal", "low", "medium", "high"] | None
    ) = None
    """How much the model thinks before it replies: tokens (Gemini 2.5; 0 for not at all) or a level
    (Gemini 3, OpenAI's reasoning models); None leaves it to the provider."""

    base_url: str | None = None
    """Another endpoint; `env:NAME` reads it from the environment when it is used."""

    api_key_env: VariableName | None = None
    """Name of the environment variable with the API key; None sends no key."""

    api_key_secret: str | None = Field(
        None, pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$"
    )
    """Secret Manager's name of the key, used where the variable is unset."""

    vertex_project: str | None = None
    """Google Cloud project; Vertex AI is used with the application's default credentials."""

    vertex_location: str = "global"
    """Region of Vertex AI, or `global`."""

    requests_per_minute: int = Field(60, ge=1)
    """Maximum requests per minute."""

    tokens_per_minute: int | None = Field(None, ge=1)
    """Maximum tokens of prompts and replies per minute; None for no limit."""

    requests_per_day: int | None = Field(None, ge=1)
    """Maximum requests in 24 hours; None for no limit. Those that the journal knows of earlier runs
    count."""

    max_concurrency: int = Field(2048, ge=1, le=4096)
    """Maximum requests in flight; fewer while the service is overloaded. The quota and the
    service's latency keep them fewer, too, so this is for a server of your own that answers only so
    many at once."""

    timeout_seconds: float = Field(120, gt=0)
    """Seconds to wait for one reply."""

    max_attempts: int = Field(6, ge=1, le=20)
    """Times a request is sent, the first one included, before it is set aside with its reason while
    others are answered; also before the run ends where no connection comes about."""

    give_up_after_seconds: float = Field(600, gt=0)
    """Seconds without a single reply after which the run ends: how long an outage of the service,
    or a quota that is shared with others (429 and 503), may last."""

    retry_seconds: float = Field(1.0, ge=0)
    """Seconds before the first retry; doubled at each further one, with jitter."""

    batch: bool = False
    """Whether requests go out as batch jobs of Gemini: half the price, answered within a day. The
    pipeline waits for them; interrupted, it finds them again."""

    batch_uri: str | None = Field(None, pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/[^/]+)*/?$")
    """Folder in Cloud Storage for the requests and replies of batch jobs, `gs://BUCKET/FOLDER`:
    Vertex AI reads them from there; Google AI Studio keeps them itself."""

    batch_poll_seconds: float = Field(60, gt=0)
    """Seconds between two polls of a batch job."""

    max_output_tokens: int | None = Field(None, ge=256)
    """Maximum tokens that a request asks for, thinking included; None looks the model up in
    `limits.yaml`. Requests that need more are split, with fewer examples."""

    price: Price | None = None
    """Where it differs from `prices.yaml`, or the model is not listed there. `batch` halves it, as
    it halves the listed ones."""

    budget_usd: float | None = Field(None, gt=0)
    """No request is sent to this service once all replies in the journal, those of other services
    included, have cost this; None for no limit. A judge and an embedder have their own budgets."""

    log_prompts: bool = False
    """Whether prompts and replies are written to the log."""

    @pydantic.field_validator("provider")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in cls._providers:
            names = ", ".join(cls._providers)
            raise ValueError(f"There is no such provider. Choose one of {names}")
        return name

    @pydantic.field_validator("model")
    @classmethod
    def _is_no_key(cls, name: str) -> str:
        if is_key(name):
            raise ValueError("this is a key, not the name of a model")
        return name

    @pydantic.field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url and url.startswith(FROM_ENVIRONMENT):
            return check_named_address(url)
        if url and (problem := problem_with(url)):
            raise ValueError(f"The address {problem}")
        return url

    @pydantic.model_validator(mode="after")
    def _provider_fits(self) -> Self:
        if self.provider == "openai" and self.vertex_project:
            raise ValueError("vertex_project is only valid with provider 'gemini'")
        if self.provider == "openai" and isinstance(self.thinking, int):
            raise ValueError(
                f"thinking is {self.thinking}; provider 'openai' takes minimal, low, medium or high"
            )
        if self.batch and self.provider != "gemini":
            raise ValueError("batch is only valid with provider 'gemini'; set it to false")
        if self.batch and self.vertex_project and not self.batch_uri:
            raise ValueError(
                "batch jobs of Vertex AI read their requests from Cloud Storage; set batch_uri to "
                "a folder, like gs://my-bucket/batches, or set batch to false"
            )
        if self.batch_uri and not self.vertex_project:
            raise ValueError(
                "batch_uri is only valid with vertex_project; Google AI Studio keeps the files of "
                "batch jobs itself"
            )
        known = (self.vertex_project, self.api_key_env, self.api_key_secret, self.base_url)
        if self.provider == "gemini" and not any(known):
            raise ValueError(
                "nothing says how to sign in; set vertex_project (Vertex AI), or api_key_env or "
                "api_key_secret (Google AI Studio)"
            )
        return self

    def resolved_base_url(self) -> str | None:
        """Return the endpoint's URL, without a slash at its end, or None for the provider's own.

        Raises:
            UserError: The environment variable that is named is not set, or is no address.
        """
        if not self.base_url:
            return None
        if not self.base_url.startswith(FROM_ENVIRONMENT):
            return self.base_url.strip().rstrip("/")
        name = self.base_url.removeprefix(FROM_ENVIRONMENT)
        if name not in os.environ:
            raise UserError(
                f"{name} is not set (the service LLM's base_url is read from it). Set {name} to "
                "the URL of the service."
            )
        if problem := problem_with(os.environ[name]):
            raise UserError(f"The service LLM's base_url, read from {name}, {problem}")
        return os.environ[name].strip().rstrip("/")

    def output_token_limit(self, reply_tokens: int) -> int:
        """Tokens to ask for: those of the reply, and room for what is thought before it.

        They are never more than the model's limit.

        Args:
            reply_tokens: Tokens of the reply at most.
        """
        return min(reply_tokens + self._thinking_room, self._output_limit)

    @property
    def max_reply_tokens(self) -> int:
        """Maximum tokens that can be asked for a reply, besides what is thought before it."""
        return max(1, self._output_limit - self._thinking_room)

    @property
    def _output_limit(self) -> int:
        return self.max_output_tokens or limits_of(self.model).max_output_tokens

    @property
    def _thinking_room(self) -> int:
        if isinstance(self.thinking, int):
            return self.thinking
        thinks = self.thinking is not None or self.provider == "gemini"
        return _THINKING_ROOM if thinks else 0

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
    """A service that turns texts into vectors: Gemini's or OpenAI's embeddings."""

    _providers: ClassVar[Mapping[str, str]] = EMBEDDERS

    dimensions: int | None = Field(None, ge=1)
    """Numbers of a vector; None for as many as the model gives."""

    @pydantic.model_validator(mode="after")
    def _is_no_language_model(self) -> Self:
        if self.batch or self.thinking is not None:
            name = "batch" if self.batch else "thinking"
            raise ValueError(f"{name} is for requests to a language model; leave it out")
        return self

    def output_token_limit(self, reply_tokens: int) -> int:
        """Embeddings have no output tokens."""
        return 0
