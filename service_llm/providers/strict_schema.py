"""JSON Schema as OpenAI's structured output takes it with `strict`: the reply then always fits.

Every object has to forbid further properties and to require all of its own:
https://platform.openai.com/docs/guides/structured-outputs
"""

import functools
import re
from typing import Any

import pydantic

from service_llm.refusals import Refusal

# What the error of a service says that knows schemas, but not this one, or not `strict`.
_ABOUT_STRICT = re.compile(r"\bstrict\b|additionalProperties|in context=", re.IGNORECASE)
_STATUSES = {400, 422}


@functools.cache
def strict_schema(schema: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the schema of a reply, all objects in it closed."""
    closed: dict[str, Any] = _closed(schema.model_json_schema())
    return closed


def is_about_strict(refusal: Refusal) -> bool:
    """Return whether a service refused a request because its schema was strict."""
    if refusal.status not in _STATUSES or refusal.is_about_the_text:  # which it may quote
        return False
    return bool(_ABOUT_STRICT.search(refusal.text))


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(value) for name, value in node.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed |= {"additionalProperties": False, "required": list(closed["properties"])}
    return closed
