"""Parameters that a model refuses: learned from its errors, and left out from then on.

Sources of the errors: https://github.com/owndev/Open-WebUI-Functions/issues/136,
https://github.com/BeehiveInnovations/pal-mcp-server/issues/78,
https://github.com/langchain-ai/langchain-azure/issues/82,
https://github.com/bytedance/deer-flow/issues/545,
https://github.com/stepfun-ai/Step-Audio-R1/issues/3
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from core.progress import progress
from service_llm.refusals import Refusal

_STATUSES = {400, 422, 501}
# And these, where the words leave no doubt: some servers fail at what they do not know.
# https://github.com/noonghunna/club-3090/issues/45
_FAILURES = {500, 502}
_NOT_KNOWN = re.compile(r"not support|unsupported|unimplemented|not implemented", re.IGNORECASE)
# A limit that is higher than the model's is not refused as such: without it replies have no end.
_LIMITS = {"max_tokens", "max_completion_tokens"}
_TOO_HIGH = re.compile(
    r"too (large|high|big)|at most|maximum|exceed|valid range|must be (<|less|between|smaller)"
    r"|greater than|fewer",
    re.IGNORECASE,
)


class Parameters:
    """What one model takes.

    Args:
        model: Its name, for what is said to the user.
        substitutes: By parameter, what is sent instead once it was refused, first to last.
        aliases: Further words in an error that mean a parameter.
        shown: Takes out of a text what must not be shown.
    """

    def __init__(
        self,
        model: str,
        substitutes: Mapping[str, Sequence[str]],
        aliases: Mapping[str, str] | None = None,
        shown: Callable[[str], str] = str,
    ) -> None:
        self._model = model
        self._substitutes = substitutes
        self._aliases = aliases or {}
        self._shown = shown
        self._refused: dict[str, None] = {}  # a set that keeps its order

    @property
    def refused(self) -> tuple[str, ...]:
        """What has been learned."""
        return tuple(self._refused)

    def choose(self, name: str) -> str | None:
        """Return the parameter to send a value as; None for none."""
        for candidate in (name, *self._substitutes.get(name, ())):
            if candidate not in self._refused:
                return candidate
        return None

    def leave_out(self, name: str, refusal: Refusal) -> None:
        """Send a parameter no more that an error is about."""
        if name not in self._refused:
            self._refused[name] = None
            instead = self._instead_of(name)
            done = f"{instead} is sent instead" if instead else "it is left out"
            said = self._shown(refusal.text)
            progress.info("%s does not accept %s: %s (%s)", self._model, name, done, said)

    def learn(self, refusal: Refusal, sent: Mapping[str, str]) -> str | None:
        """Return the parameter that an error is about, so that the request is worth sending again.

        Args:
            refusal: The error.
            sent: What the request carried: `choose`'s answers, by the parameter they stand for.

        Returns:
            Its name, whether or not another request had taught it before; None where the error is
            about something else, or about a parameter that the request did not carry.
        """
        is_failure = refusal.status in _FAILURES and _NOT_KNOWN.search(refusal.words)
        if not (refusal.status in _STATUSES or is_failure) or refusal.is_about_the_text:
            return None
        carried = {word: chosen for name, chosen in sent.items() for word in (name, chosen)}
        for named in self._named(refusal):
            if (chosen := carried.get(named)) is None:
                continue
            if chosen in _LIMITS and _TOO_HIGH.search(refusal.text):
                return None
            self.leave_out(chosen, refusal)
            return chosen
        return None

    def _instead_of(self, refused: str) -> str | None:
        for name, others in self._substitutes.items():
            if refused in (name, *others):
                return self.choose(name)
        return None

    def _named(self, refusal: Refusal) -> Iterator[str]:
        """Return the parameters that an error names: in a field for that, else in its text."""
        known = [*self._substitutes, *(n for names in self._substitutes.values() for n in names)]
        words = [*((name, name) for name in known), *self._aliases.items()]
        lower = {word.lower(): name for word, name in words}
        places = (part for place in _places(refusal.body) for part in place.lower().split("."))
        yield from (lower[place] for place in places if place in lower)
        found = [
            (match.start(), name)
            for word, name in words
            if (match := re.search(rf"(?<!\w){re.escape(word)}(?!\w)", refusal.text, re.IGNORECASE))
        ]
        yield from (name for _, name in sorted(found))


def _places(body: object) -> Iterator[str]:
    """Where an error says what it is about: OpenAI's `param`, pydantic's `loc`, Google's `field`.

    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    if isinstance(body, list):
        for item in body:
            yield from _places(item)
    elif isinstance(body, dict):
        yield from (body[name] for name in ("param", "field") if isinstance(body.get(name), str))
        if isinstance(body.get("loc"), list):
            yield ".".join(str(part) for part in body["loc"] if part != "body")
        for name in ("error", "detail", "errors", "details", "fieldViolations"):
            yield from _places(body.get(name))
