"""The demonstration task's outputs: their fields, allowed values and form."""

import json
from typing import Any, NamedTuple

TASK_NAME = "support_triage"
CATEGORIES = ("billing", "shipping", "defect", "account", "returns", "how_to")
PRIORITIES = ("low", "normal", "high")
PRODUCTS = (
    "Atlas Router",
    "Nimbus Cam",
    "Pulse Thermostat",
    "Echo Lamp",
    "Orbit Doorbell",
    "Quill Lock",
    "Terra Kettle",
    "Aero Purifier",
    "Sonar Speaker",
    "Lumen Bulb",
    "Forge Vacuum",
    "Vista Blind",
)


class Label(NamedTuple):
    """What is to be answered to a message."""

    category: str
    priority: str
    product: str | None

    def to_json(self) -> str:
        """Return the output in exactly the task's form."""
        return json.dumps(self._asdict())


def read_label(text: str) -> Label | None:
    """Return the label in an output in any layout; None when no form is allowed."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != set(Label._fields):
        return None
    texts = (value["category"], value["priority"], value["product"] or "")
    if not all(isinstance(text, str) for text in texts):
        return None
    label = Label(*texts[:2], value["product"])
    known = label.category in CATEGORIES and label.priority in PRIORITIES
    return label if known and (label.product is None or label.product in PRODUCTS) else None
