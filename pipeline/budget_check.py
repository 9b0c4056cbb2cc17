"""Finds a budget that would stop nothing, as nobody knows what replies cost."""

from core.errors import UserError
from pipeline.config import Config
from service_llm.cost import price_of


def budget_problems(config: Config) -> list[str]:
    """Say which budgets need a price that is missing."""
    problems = []
    for section, settings in config.services.items():
        budgets = {
            "rounds.budget_usd": config.rounds.budget_usd,
            f"{section}.budget_usd": settings.budget_usd,
        }
        problems += [
            f"{name} is {budget:g}, but the price of {settings.model!r} is unknown. Set "
            f"{section}.price, or remove {name}."
            for name, budget in budgets.items()
            if budget is not None and price_of(settings) is None
        ]
    return problems


def check_budget(config: Config) -> None:
    """Refuse a budget that would stop nothing.

    Raises:
        UserError: A service has no price.
    """
    if problems := budget_problems(config):
        raise UserError("\n".join(problems))
