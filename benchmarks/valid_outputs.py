"""Valid outputs of three tasks, drawn at random: an order, an invoice and a ticket.

Nothing of the form code is imported: what is valid is decided here alone. Optional keys, null,
empty lists, decimals among integers, rare categories, and names of many countries occur as in
real data.
"""

import json
import random
from collections.abc import Callable
from typing import Any

_NAMES = (
    "Ada Lovelace", "Jürgen Müller", "Łukasz Nowak", "María de los Ángeles", "Иван Петров", "王芳",
    "Der Die", "Jean-Luc des Champs", "O'Neil", "Ng", "Aisha bint Omar al-Rashid", "Li",
)  # fmt: skip
_TEXT = (
    "the lamp does not turn on after we moved it to another room and the app shows an error that "
    "is not in the manual so please tell me what to do next because it is for a present today"
)
_WORDS = _TEXT.split()


def _sentence(rng: random.Random, least: int, most: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(least, most))).capitalize() + "."


def _order(rng: random.Random) -> dict[str, Any]:
    """Flat, with a skewed category, an optional key and a number that is rarely a decimal."""
    order: dict[str, Any] = {
        "intent": rng.choices(["order", "return", "question", "complaint"], [55, 25, 15, 5])[0],
        "quantity": rng.choices([rng.randint(1, 9), rng.randint(1, 40) / 4], [92, 8])[0],
        "product": rng.choice(["Echo Lamp", "Quill Lock", "Terra Kettle", "Vista Blind", None]),
        "customer": rng.choice(_NAMES),
        "express": rng.random() < 0.15,
    }
    if rng.random() < 0.1:
        order["coupon"] = f"SAVE{rng.randint(5, 50)}"
    return order


def _invoice(rng: random.Random) -> dict[str, Any]:
    """Nested: lines with optional parts, addresses, totals."""
    lines: list[dict[str, Any]] = [
        {
            "text": _sentence(rng, 1, 12),
            "quantity": rng.choice([1, 1, 1, 2, 3, 0.5, 12]),
            "unit_price": rng.choice([rng.randint(1, 900), round(rng.uniform(0.01, 9000), 2)]),
            **({"discount": rng.choice([5, 10, 12.5])} if rng.random() < 0.2 else {}),
        }
        for _ in range(rng.choices(range(7), [4, 30, 25, 20, 12, 6, 3])[0])
    ]
    total = sum(line["quantity"] * line["unit_price"] for line in lines)
    numbers = [f"{rng.randint(1, 99999)}", f"INV-{rng.randint(2019, 2026)}/{rng.randint(1, 999)}"]
    vat_id = rng.choice([None, f"DE{rng.randint(10**8, 10**9)}"])
    return {
        "number": rng.choice(numbers),
        "seller": {"name": rng.choice(_NAMES), "vat_id": vat_id},
        "buyer": rng.choice([None, {"name": rng.choice(_NAMES)}]),
        "currency": rng.choices(["EUR", "USD", "GBP", "CHF"], [70, 18, 8, 4])[0],
        "lines": lines,
        "total": round(total, 2) if total % 1 else int(total),
        "notes": rng.choice(["", "", _sentence(rng, 3, 30)]),
        "tags": [],
    }


def _ticket(rng: random.Random) -> dict[str, Any]:
    """Return a summary with text of very different lengths, scores, and a list of actions."""
    return {
        "summary": _sentence(rng, 4, rng.choice([8, 20, 60])),
        "sentiment": round(rng.uniform(-1, 1), rng.choice([0, 1, 2])),
        "language": rng.choices(["en", "de", "fr", "pl"], [60, 25, 11, 4])[0],
        "people": rng.sample(_NAMES, rng.choices(range(4), [50, 30, 15, 5])[0]),
        "actions": [
            {"do": _sentence(rng, 2, 9), "due": rng.choice([None, f"2026-{month:02}-01"])}
            for month in rng.sample(range(1, 13), 3)[: rng.randint(0, 3)]
        ],
        "order": rng.choice([None, None, None, rng.randint(10**4, 10**6)]),
        "escalate": rng.random() < 0.08,
    }


KINDS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "order": _order,
    "invoice": _invoice,
    "ticket": _ticket,
}


def valid_outputs(kind: str, count: int, seed: int) -> list[str]:
    """Draw valid outputs, as JSON texts.

    Args:
        kind: A key of `KINDS`.
        count: How many.
        seed: Of the random numbers.
    """
    rng = random.Random(f"{kind} {seed}")
    return [json.dumps(KINDS[kind](rng), ensure_ascii=False) for _ in range(count)]
