"""The `serving` section: how the gateway listens, matches, fails over and raises the alarm."""

import functools
import ipaddress
import math
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from core.key_names import FROM_ENVIRONMENT, NamedAddress, VariableName
from service_llm.settings import ServiceLLMSettings
from serving.address import is_web_address
from serving.capture.settings import CaptureSettings, from_flag
from serving.mode_settings import (
    ConfidenceSettings,
    CutoverSettings,
    Mode,
    ShadowSettings,
    WatchSettings,
)

_URL = r"^(https?://|env:)"
PLACEHOLDER = "{prompt}"

MatchMode = Literal["system", "template", "model", "any"]


class FirstByteBounds(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """Bounds of the learned limit for the first byte."""

    min_seconds: float = Field(3.0, gt=0)
    """The limit is never shorter."""

    unlearned_seconds: float = Field(30.0, gt=0)
    """The limit until enough healthy answers were seen."""

    max_seconds: float = Field(180.0, gt=0)
    """The limit is never longer; thinking models need up to two minutes."""

    @pydantic.model_validator(mode="after")
    def _are_ordered(self) -> Self:
        if not self.min_seconds <= self.unlearned_seconds <= self.max_seconds:
            raise ValueError(
                f"min_seconds ({self.min_seconds:g}), unlearned_seconds "
                f"({self.unlearned_seconds:g}) and max_seconds ({self.max_seconds:g}) must not "
                "decrease"
            )
        return self


class BreakerSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """When requests stop going to the service, and how they return."""

    failures_to_open: int = Field(3, ge=1, le=1000)
    """Connection faults and 5xx in a row that open the breaker of the service. Faults of a key, a
    quota or a retired model open their breaker at once."""

    wait_seconds: float = Field(1.0, gt=0)
    """Seconds before the first probe; doubled at each further failure, with jitter."""

    max_wait_seconds: float = Field(30.0, gt=0)
    """The wait is never longer, unless the service asks for longer."""

    retry_after_cap_seconds: float = Field(300.0, gt=0)
    """The longest wait that the service may ask for."""

    jitter: float = Field(0.2, ge=0, le=1)
    """Share of the wait by which it varies, 0 to 1; 0 for none."""

    ramp_successes: int = Field(5, ge=1, le=1000)
    """Successes after which all requests go to the service again; on the way there as many may be
    in flight as have succeeded, and one more."""


class ModelServerSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """The server of the tuned model."""

    url: NamedAddress | None = Field(None, pattern=_URL)
    """Base URL of an OpenAI-compatible server (vLLM, Ollama, TGI), with its `/v1`; None starts
    llama.cpp's server on this machine. `env:NAME` reads it from the environment."""

    name: str | None = None
    """The model's name at that server; None asks the server."""

    api_key_env: VariableName | None = None
    """Environment variable with that server's key; None sends none."""

    private_network: bool = False
    """Whether that server, where it is another machine, is in a private network of yours. The mode
    `private` is refused otherwise, as requests with personal data go there."""

    slots: int = Field(4, ge=1, le=4096)
    """Requests that the model answers at a time."""

    queue_length: int = Field(256, ge=0, le=100_000)
    """Requests that may wait for a slot; further ones get 503 at once."""

    queue_seconds: float = Field(20.0, gt=0)
    """The longest wait in that queue."""

    timeout_seconds: float = Field(60.0, gt=0)
    """The longest time for one answer."""

    keep_warm_seconds: float = Field(120.0, ge=0)
    """Idle seconds after which a sample is asked to keep the model in memory; 0 asks none."""


class ServingSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """How the gateway works; it holds the names of secrets, never a secret."""

    service: ServiceLLMSettings | None = None
    """The service LLM that the application uses today, as in `service_llm`; None for `service_llm`
    itself. Callers send their own keys: `api_key_env` is not used here."""

    model: ModelServerSettings = ModelServerSettings()
    """The server of the tuned model."""

    host: str = "127.0.0.1"
    """Address to listen on; others than loopback need `key_env`."""

    port: int = Field(8100, ge=0, le=65_535)
    """Port to listen on; 0 picks a free one."""

    key_env: VariableName | None = None
    """Environment variable with the gateway's own key, which all callers send as `x-understudy-key`
    where `host` is another address than loopback. On loopback it is optional, and covers callers
    whose tokens change."""

    match: MatchMode = "system"
    """How a request of the task is recognised, and the message taken out of it: `system` (the
    system text is the task's instruction or one of `accepted_instructions` but for white space; the
    last user text is the message), `template` (`template` around the message in one user text),
    `model` (the model that is asked for is `model_alias`), `any`."""

    template: str | None = None
    """The application's text with `{prompt}` in it, for `match: template`."""

    model_alias: str | None = None
    """The model name that stands for the task, for `match: model`; None for the task's name."""

    accepted_instructions: tuple[str, ...] = ()
    """Further system texts that belong to the task."""

    hold_kib: int = Field(8, ge=0, le=1024)
    """KiB of a streamed answer that are held back until it is known to be good; an answer that
    breaks within them is replaced whole. 0 holds nothing back."""

    refusals: Literal["service", "model"] = "service"
    """Who answers where the service refuses for safety: `service` passes its refusal on, `model`
    lets the tuned model answer."""

    first_byte_seconds: float | Literal["auto"] = "auto"
    """Seconds without a first byte after which the tuned model starts in parallel; `auto` learns
    them for each model and thinking setting."""

    first_byte_bounds: FirstByteBounds = FirstByteBounds()
    """Bounds of what `auto` learns."""

    between_bytes_seconds: float = Field(30.0, gt=0)
    """A longer silence within an answer is a fault."""

    breakers: BreakerSettings = BreakerSettings()
    """When requests stop going to the service, and how they return."""

    alert_url: NamedAddress | None = Field(None, pattern=_URL)
    """A webhook that receives every change of an alarm as JSON; `env:NAME` reads it from the
    environment."""

    capture: Annotated[CaptureSettings, pydantic.BeforeValidator(from_flag)] = CaptureSettings()
    """Whether and how the exchanges of a task are written to disk."""

    sticky_header: str | None = Field(None, pattern=r"^[A-Za-z0-9-]+$", max_length=80)
    """Request header in which the application names its user or session; None for the `user` field
    of OpenAI's protocol alone."""

    mode: Mode = "failover"
    """Who answers while the service is well; `understudy serve mode` changes it at run time.
    `failover`: the service. `shadow`: the service, and requests are copied to the tuned model for
    `understudy verdict`. `canary`: the tuned model for `canary_percent` of the users. `cascade`:
    the tuned model where it is confident. `private`: the tuned model alone where a request holds
    personal data, which goes to no other machine; with `model.private_network`, to that of
    `model.url` alone. `model`: the tuned model."""

    canary_percent: float = Field(5.0, ge=0, le=100)
    """Percentage of users whose requests the tuned model answers in the mode `canary`."""

    model_failover: Literal["service", "off"] = "service"
    """Who answers in the mode `model` where the tuned model cannot; `off`: nobody, and nothing goes
    to the service."""

    shadow: ShadowSettings = ShadowSettings()
    """How requests are copied in the mode `shadow`."""

    confidence: ConfidenceSettings = ConfidenceSettings()
    """How sure the tuned model has to be of an answer."""

    cutover: CutoverSettings = CutoverSettings()
    """What a step of `understudy cutover` has to show before the next one."""

    watch: WatchSettings = WatchSettings()
    """How `understudy watch` looks at the service and the tuned model."""

    margin_points: float = Field(3.0, gt=0, le=50)
    """By how many percentage points the tuned model may be worse than the service and is still safe
    to switch to."""

    @pydantic.field_validator("alert_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(FROM_ENVIRONMENT) and not is_web_address(url):
            raise ValueError("no webhook can have this address; check its host and its port")
        return url

    @pydantic.field_validator("first_byte_seconds")
    @classmethod
    def _is_a_time(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not (0 < value < math.inf):
            raise ValueError(f"first_byte_seconds is {value:g}; give seconds above 0, or auto")
        return value

    @pydantic.model_validator(mode="after")
    def _template_has_its_place(self) -> Self:
        if self.match == "template" and (self.template or "").count(PLACEHOLDER) != 1:
            raise ValueError(
                f"match is 'template' and template is {self.template!r}; write the application's "
                f"text with {PLACEHOLDER} once, where the message goes"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _strangers_need_a_key(self) -> Self:
        if not self.is_local and self.key_env is None:
            raise ValueError(
                f"host is {self.host!r}, which others can reach, and there is no key_env; name the "
                "environment variable that holds the gateway's key, or listen on 127.0.0.1"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)


@functools.lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
