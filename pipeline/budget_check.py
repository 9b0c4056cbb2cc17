"""Finds a budget that would stop nothing, as nobody knows what replies cost."""

from core.errors import UserError
from pipeline.config import Config
from service_llm.cost import price_of


def budget_problems(config: Config) -> list[str]:
    """Say of which services the price is missing that `rounds.budget_usd` needs."""
    budget = config.rounds.budget_usd
    if budget is None:
        return []
    return [
        f"rounds.budget_usd is {budget:g}, but the price of {settings.model!r} is unknown. Set "
        f"{section}.price, or remove rounds.budget_usd."
        for section, settings in config.services.items()
        if price_of(settings) is None
    ]


def check_budget(config: Config) -> None:
    """Refuse a budget that would stop nothing.

    Raises:
        UserError: A service has no price.
    """
    if problems := budget_problems(config):
        raise UserError("\n".join(problems))
