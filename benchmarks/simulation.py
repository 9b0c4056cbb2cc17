"""What simulations share: binomial draws, and Markdown tables."""

import random


def draw(generator: random.Random, count: int, share: float) -> int:
    """Draw a binomial count."""
    return sum(generator.random() < share for _ in range(count))


def print_head(title: str, *columns: str) -> None:
    """Print the head of a Markdown table."""
    print(f"**{title}**\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def print_row(*cells: str | int | float) -> None:
    """Print a row of a Markdown table; shares, which are floats, as percentages."""
    texts = (f"{cell:.1%}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"| {' | '.join(texts)} |", flush=True)
