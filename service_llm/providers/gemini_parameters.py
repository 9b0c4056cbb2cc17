"""The `generationConfig` of requests to Gemini, without what the model was found to refuse."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from service_llm.providers.form import with_form
from service_llm.providers.gemini_schema import schema_field
from service_llm.providers.output_limit import OutputLimit
from service_llm.providers.parameters import Parameters
from service_llm.refusals import Refusal
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request

_THINKING, _SEED, _TEMPERATURE = "thinkingConfig", "seed", "temperature"
_LIMIT, _TYPE = "maxOutputTokens", "responseMimeType"
_SCHEMAS = ("responseSchema", "responseJsonSchema")
# Lower ones may make it repeat itself: https://ai.google.dev/gemini-api/docs/gemini-3#temperature
_ASKS_FOR_ITS_OWN_TEMPERATURE = re.compile(r"(^|/)gemini-([3-9]|\d\d)")
_ALIASES = {
    "thinking": _THINKING,
    "thinking_config": _THINKING,
    "thinking_level": _THINKING,
    "thinking_budget": _THINKING,
    "JSON mode": _TYPE,
    "response_mime_type": _TYPE,
    **dict.fromkeys(("response_schema", "response schemas"), _SCHEMAS[0]),
    "response_json_schema": _SCHEMAS[1],
}


class GeminiParameters:
    """What one model takes.

    Args:
        settings: The service.
        shown: Takes out of a text what must not be shown.
    """

    def __init__(self, settings: ServiceLLMSettings, shown: Callable[[str], str] = str) -> None:
        self._settings = settings
        self._parameters = Parameters(
            settings.model,
            dict.fromkeys((_THINKING, _SEED, _TEMPERATURE, _TYPE, *_SCHEMAS), ()),
            _ALIASES,
            shown=shown,
        )
        self._output_limit = OutputLimit(settings)

    @property
    def refused(self) -> tuple[str, ...]:
        """Parameters that the model was found to refuse."""
        return self._parameters.refused

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What the model was found to refuse, its limit of output tokens included."""
        return (*self.refused, *self._output_limit.refused)

    def of(self, request: Request) -> dict[str, Any]:
        """Return a request's `generationConfig`, with its schema as structured output."""
        config: dict[str, Any] = {
            _TEMPERATURE: request.temperature,
            _SEED: request.index,
            _LIMIT: self._output_limit.of(request),
            _TYPE: "application/json",
            # A copy: google-genai writes into what it is given.
            **copy.deepcopy(dict([schema_field(request.schema)])),
        }
        if _ASKS_FOR_ITS_OWN_TEMPERATURE.search(self._settings.model):
            del config[_TEMPERATURE]
        if self._settings.thinking is not None:
            config[_THINKING] = _thinking(self._settings.thinking)
        for name in self.refused if _TYPE not in self.refused else (*self.refused, *_SCHEMAS):
            config.pop(name, None)
        return config

    def prompt_of(self, request: Request) -> str:
        """Return a request's prompt, with the form of the reply where no schema accompanies it."""
        if {_TYPE, schema_field(request.schema)[0]}.isdisjoint(self.refused):
            return request.prompt
        return with_form(request.prompt, request.schema)

    def learn(self, refusal: Refusal, request: Request, sent: Mapping[str, Any]) -> bool:
        """Learn what an error says of a request's parameters.

        Args:
            refusal: The error.
            request: What was sent.
            sent: Its `generationConfig`.

        Returns:
            Whether the request is worth sending again.
        """
        if self._output_limit.learn(refusal, request, sent[_LIMIT]):
            return True
        return self._parameters.learn(refusal, {name: name for name in sent}) is not None


def _thinking(thinking: int | str) -> dict[str, int | str]:
    if isinstance(thinking, int):
        return {"thinkingBudget": thinking}
    return {"thinkingLevel": thinking.upper()}
