"""What requests to a service cost."""

import dataclasses
from typing import Self


@dataclasses.dataclass(frozen=True)
class Usage:
    """What requests used.

    Attributes:
        calls: Requests that the provider answered.
        prompt_tokens: Tokens of the prompts, by the provider's count.
        output_tokens: Tokens of the replies, thinking included, by the provider's count.
        cost_usd: What they cost; None where the price of a model is unknown.
        unknown_calls: Calls among them whose tokens the provider did not say: they count as none,
            and their cost is estimated from their texts.
        model_versions: The models that answered, as the provider names them, sorted.
    """

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    unknown_calls: int = 0
    model_versions: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    def __add__(self, other: Self) -> Self:
        known = self.cost_usd is not None and other.cost_usd is not None
        return dataclasses.replace(
            self,
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            unknown_calls=self.unknown_calls + other.unknown_calls,
            model_versions=self._versions_with(other),
        )

    def _versions_with(self, other: Self) -> tuple[str, ...]:
        if set(other.model_versions) <= set(self.model_versions):  # nearly always
            return self.model_versions
        return tuple(sorted({*self.model_versions, *other.model_versions}))
