"""How many output tokens a service takes in a request: learned from refusals that name the limit.

Sources of the errors: https://github.com/ChatGPTNextWeb/NextChat/issues/3195,
https://github.com/BerriAI/litellm/pull/10548, https://github.com/we0-dev/we0/issues/56,
https://github.com/open-webui/open-webui/issues/10507,
https://github.com/evalstate/fast-agent/issues/621,
https://github.com/claude-code-best/claude-code/issues/272,
https://github.com/vllm-project/vllm/issues/42474,
https://github.com/vllm-project/vllm/pull/40324, https://github.com/opea-project/GenAIInfra/issues/487
"""

import re

from core.progress import progress
from service_llm.refusals import Refusal
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request

_STATUSES = {400, 416, 422}
_MIN_TOKENS = 256  # a reply with less room is cut off; such a request is refused instead
_STEP = 0.25  # of the room for output: what is asked for less, where the limit is not known
_NUMBER = r"[`'\"]?(\d[\d,]*)"
_ABOUT_OUTPUT = re.compile(r"max_?(output_?|completion_?|new_?)?tokens", re.IGNORECASE)
_OUTPUT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"at most {_NUMBER} (?:completion |output )?tokens",
        rf"range (?:of \S+ )?(?:is|should be) \[\d+, ?{_NUMBER}\]",
        rf"less than or equal to {_NUMBER}",
        rf"cannot be greater than (?:max_\w+=)*{_NUMBER}",
        rf"range is from \d+ \(inclusive\) to {_NUMBER} \((?P<exclusive>exclusive)?",
    )
)
_CONTEXT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"maximum context length is\s+{_NUMBER} tokens\. However, you requested [\d,]+ tokens "
        rf"\({_NUMBER} in the messages",
        rf"maximum context length is\s+{_NUMBER} tokens and your request has {_NUMBER} input",
        rf"maximum context length is\s+{_NUMBER} tokens\. However, you requested [\d,]+ output "
        rf"tokens and your prompt contains (?P<least>at least )?{_NUMBER} input",
        rf"inputs. tokens \+ .max_new_tokens. must be <= {_NUMBER}\. Given: {_NUMBER} .inputs",
    )
)


class OutputLimit:
    """The output tokens that requests ask for.

    Args:
        settings: The service; its own limit is where the learning starts.
    """

    def __init__(self, settings: ServiceLLMSettings) -> None:
        self._settings = settings
        self._most: int | None = None
        self._context: int | None = None
        self._tokens_per_character = 0.0

    @property
    def refused(self) -> tuple[str, ...]:
        """What has been learned, as what the model does not take."""
        limits = ((self._most, "output tokens"), (self._context, "tokens of prompt and reply"))
        return tuple(f"more than {most} {what}" for most, what in limits if most is not None)

    def of(self, request: Request) -> int:
        """Return the output tokens to ask for."""
        most = self._settings.output_token_limit(request.max_output_tokens)
        if self._most is not None:
            most = min(most, self._most)
        if self._context is not None:
            prompt = round(_characters(request) * self._tokens_per_character)
            most = min(most, max(_MIN_TOKENS, self._context - prompt))
        return most

    def learn(self, refusal: Refusal, request: Request, sent: int) -> bool:
        """Take the limit that an error names.

        Args:
            refusal: The error.
            request: What was sent.
            sent: The output tokens that it asked for.

        Returns:
            Whether the request asks for less now, so that it is worth sending again, whether or
            not another request had taught it before.
        """
        if refusal.status not in _STATUSES:
            return False
        before = self.of(request)
        self._learn_context(refusal.text, request)
        if _ABOUT_OUTPUT.search(refusal.text):
            self._learn_output(refusal.text)
        if (now := self.of(request)) >= sent:
            return False
        if now < before:
            progress.info(
                "%s does not accept %d output tokens: requests now ask for %d",
                self._settings.model,
                sent,
                now,
            )
        return True

    def _learn_output(self, text: str) -> None:
        for pattern in _OUTPUT:
            if found := pattern.search(text):
                limit = _number(found[1]) - bool(found.groupdict().get("exclusive"))
                if limit >= _MIN_TOKENS and (self._most is None or limit < self._most):
                    self._most = limit
                return

    def _learn_context(self, text: str, request: Request) -> None:
        for pattern in _CONTEXT:
            if found := pattern.search(text):
                context, prompt = _number(found[1]), _number(found[found.re.groups])
                if found.groupdict().get("least"):  # it was counted no further than to the limit
                    more = round(prompt + _STEP * (context - prompt))
                    prompt = max(prompt, min(more, context - _MIN_TOKENS))
                if context - prompt < _MIN_TOKENS:
                    return
                self._context = context
                per_character = prompt / max(1, _characters(request))
                self._tokens_per_character = max(self._tokens_per_character, per_character)
                return


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _characters(request: Request) -> int:
    return len(request.prompt) + len(request.system)
