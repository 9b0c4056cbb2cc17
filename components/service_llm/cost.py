"""What replies cost: the provider's own token counts times a price table with its date."""

import fnmatch
import functools
from pathlib import Path

import pydantic
import yaml

from components.service_llm.settings import Price, ServiceLLMSettings

PRICES_FILE = Path(__file__).with_name("prices.yaml")
_TOKENS = 1_000_000
_BATCH_SHARE = 0.5  # https://ai.google.dev/gemini-api/docs/batch-api


class _Entry(Price, frozen=True, extra="forbid"):
    model: str


class PriceTable(pydantic.BaseModel, frozen=True, extra="forbid"):
    """List prices of text models.

    Attributes:
        date: Day on which the prices were looked up.
        sources: Where.
        models: Price by a pattern of model names; the first that matches counts.
    """

    date: str
    sources: tuple[str, ...]
    models: tuple[_Entry, ...]


@functools.cache
def price_table() -> PriceTable:
    """The table in this repository."""
    return PriceTable.model_validate(yaml.safe_load(PRICES_FILE.read_text(encoding="utf-8")))


def price_of(settings: ServiceLLMSettings) -> Price | None:
    """The price of a service LLM: of its settings, else of the table; None where neither has one.

    The name's last part counts, so `models/gemini-2.5-flash` and `google/gemini-2.5-flash` are
    found too. In batch mode it is half of that.
    """
    price = settings.price or _listed(settings.model)
    if price is None or not settings.batch:
        return price
    return Price(**{name: _BATCH_SHARE * usd for name, usd in price if name in Price.model_fields})


def _listed(model: str) -> Price | None:
    name = model.rsplit("/", 1)[-1]
    return next((e for e in price_table().models if fnmatch.fnmatchcase(name, e.model)), None)


def cost_usd(price: Price | None, prompt_tokens: int, output_tokens: int) -> float | None:
    """What a reply cost in USD; None where the price is unknown."""
    if price is None:
        return None
    per_prompt = price.prompt_usd_per_million_tokens * prompt_tokens
    return (per_prompt + price.output_usd_per_million_tokens * output_tokens) / _TOKENS
