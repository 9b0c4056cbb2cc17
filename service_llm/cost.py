"""What replies cost: the provider's own token counts times a price table with its date."""

import datetime
import functools
import re
from pathlib import Path

import pydantic

from core.yaml_text import read_yaml
from service_llm.settings import Price, ServiceLLMSettings

PRICES_FILE = Path(__file__).with_name("prices.yaml")
_TOKENS = 1_000_000
# https://ai.google.dev/gemini-api/docs/batch-api and, for Vertex AI,
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini
_BATCH_SHARE = 0.5
# Of a version of the same model: -001, -2024-08-06, -preview-09-2025. Not of another one: -image.
_VERSION = r"(-(preview|exp|latest|\d+))*"


class ListedPrice(Price, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """A line of the table."""

    model: str = pydantic.Field(min_length=1)
    """The model's name without its version; with an asterisk at its end, what it begins with."""

    until: datetime.date | None = None
    """The last day of this price; None where no end was announced."""

    shutdown: datetime.date | None = None
    """The day on which the provider's own API stops serving the model; None where none was
    announced."""

    vertex_shutdown: datetime.date | None = None
    """The same of Vertex AI, which has days of its own."""

    successor: str = ""
    """What the provider names as the model to change to, and answers with where it reroutes."""

    def holds(self, name: str, day: datetime.date) -> bool:
        """Whether it is the price of a model on a day."""
        prefix = self.model.removesuffix("*")
        rest = ".*" if prefix != self.model else _VERSION
        is_named = re.fullmatch(re.escape(prefix) + rest, name, re.DOTALL) is not None
        return is_named and (self.until is None or day <= self.until)


class PriceList(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """Prices of one provider."""

    source: str = pydantic.Field(min_length=1)
    """Where they were looked up."""

    date: datetime.date
    """When."""

    models: tuple[ListedPrice, ...]
    """The first line that holds counts."""


@functools.cache
def price_lists() -> tuple[PriceList, ...]:
    """Return the price lists in this repository."""
    return read_prices(PRICES_FILE.read_text(encoding="utf-8"))


def read_prices(text: str) -> tuple[PriceList, ...]:
    """Return the price lists in a YAML file.

    Raises:
        ValueError: The text is something else.
    """
    try:
        values = read_yaml(text)
    except ValueError as error:
        raise ValueError(f"The price lists are not valid YAML: {error}") from error
    return pydantic.TypeAdapter(tuple[PriceList, ...]).validate_python(values)


def price_of(settings: ServiceLLMSettings) -> Price | None:
    """Return the price of a service LLM from its settings or the lists; None if unknown.

    The name's last part counts, so `models/gemini-2.5-flash` and `google/gemini-2.5-flash` are
    found too. In batch mode it is half of that.
    """
    price = settings.price or listed_price(
        settings.model, datetime.datetime.now(datetime.UTC).date()
    )
    if price is None:
        return None
    share = _BATCH_SHARE if settings.batch else 1.0
    return Price(**{name: share * getattr(price, name) for name in Price.model_fields})


def listed_price(model: str, day: datetime.date) -> ListedPrice | None:
    """Return the price of a model on a day; None where the lists have none."""
    name = model.rsplit("/", 1)[-1]
    lines = (line for prices in price_lists() for line in prices.models)
    return next((line for line in lines if line.holds(name, day)), None)


def cost_usd(price: Price | None, prompt_tokens: int, output_tokens: int) -> float | None:
    """Return what a reply cost in USD; None where the price is unknown."""
    if price is None:
        return None
    per_prompt = price.prompt_usd_per_million_tokens * prompt_tokens
    return (per_prompt + price.output_usd_per_million_tokens * output_tokens) / _TOKENS
