"""Checks a request against OpenAI's published parameters, and answers as OpenAI does."""

import functools
from typing import Any

import jsonschema

from standin.errors import HttpError, bad_request
from standin.published.google_types import load

_BOUNDS = {
    "minimum": ("below minimum", "below_min", ">="),
    "maximum": ("above maximum", "above_max", "<="),
}


def check_openai(path: str, body: object) -> None:
    """Refuse a request with parameters that are not published, or of another type.

    Args:
        path: `chat/completions` or `embeddings`.
        body: The request.

    Raises:
        HttpError: 400 with the parameter that is at fault.
    """
    found = sorted(_validator(path).iter_errors(body), key=lambda error: list(error.path))
    if found:
        raise _refusal(_innermost(found[0]))


def _innermost(error: Any) -> Any:
    """Return what is wrong in the alternative that was meant; a message has its role."""
    while error.context:
        alternatives: dict[int, list[Any]] = {}
        for inner in error.context:
            alternatives.setdefault(inner.schema_path[0], []).append(inner)
        meant = min(
            alternatives.values(),
            key=lambda errors: sum(inner.validator in ("const", "enum") for inner in errors),
        )
        error = meant[0]
    return error


@functools.cache
def _validator(path: str) -> Any:
    return jsonschema.Draft202012Validator(load("openai")["requests"][path])


def _refusal(error: Any) -> HttpError:
    """See https://platform.openai.com/docs/guides/error-codes."""
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        name = ".".join([*path, next(given for given in error.instance if given not in known)])
        return bad_request(f"Unknown parameter: '{name}'.", param=name, reason="unknown_parameter")
    if error.validator == "required":
        name = ".".join([*path, error.message.split("'")[1]])
        return bad_request(
            f"Missing required parameter: '{name}'.",
            param=name,
            reason="missing_required_parameter",
        )
    name = ".".join(path)
    if error.validator in _BOUNDS:
        kind = "integer" if isinstance(error.instance, int) else "decimal"
        where, code, sign = _BOUNDS[error.validator]
        return bad_request(
            f"Invalid '{name}': {kind} {where} value. Expected a value {sign} "
            f"{error.validator_value}, but got {error.instance} instead.",
            param=name,
            reason=f"{kind}_{code}_value",
        )
    reason = "invalid_type" if error.validator == "type" else "invalid_value"
    return bad_request(
        f"Invalid value for '{name}': {error.message[:200]}.", param=name, reason=reason
    )
