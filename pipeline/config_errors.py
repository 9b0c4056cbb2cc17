"""Says what is wrong with the values of a configuration."""

import math
from collections.abc import Iterator, Mapping

import pydantic

from core.key_names import may_hold_secret
from pipeline.suggestions import keys_at, suggest_key

ENV_PREFIX = "UNDERSTUDY__"
# Keys of names of secrets, where a hurried user puts the secret itself.
_MAY_HOLD_SECRETS = ("api_key_env", "api_key_secret", "token_env", "token_secret", "base_url")
_OWN_RULE = "Value error, "  # pydantic's, before what a validator says


def not_finite(value: object, path: str = "") -> Iterator[str]:
    """Name every number that is not finite: no setting means anything with one."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from not_finite(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from not_finite(inner, f"{path}[{number}]")


def explain(
    config: type[pydantic.BaseModel],
    error: pydantic.ValidationError,
    preset: str,
    environ: Mapping[str, str],
) -> str:
    """Say what is wrong with each value, never repeating what may be a secret.

    Args:
        config: What was validated.
        error: The outcome.
        preset: Its name.
        environ: Names the variables that values may have come from.
    """
    lines = [f"The configuration (preset {preset!r}) cannot be used:"]
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        if item["type"] == "extra_forbidden":
            allowed = ", ".join(keys_at(config, item["loc"][:-1]))
            # A key that only the environment has is found by the name of its variable.
            variable = ENV_PREFIX + "__".join(map(str, item["loc"])).upper()
            given = next((f" (from {name})" for name in environ if name.startswith(variable)), "")
            meant = suggest_key(config, item["loc"])
            lines.append(f"  {path}{given}: unknown key.{meant} Allowed here: {allowed}.")
        elif item["type"] == "missing":
            lines.append(f"  {path}: missing. Set it in the preset or with --set {path}=VALUE.")
        else:
            said = _said(path, item["input"], item["msg"])
            lines.append(f"  {path}: {said.removesuffix('.')}.")
    return "\n".join(lines)


def _said(path: str, value: object, message: str) -> str:
    message = message.removeprefix(_OWN_RULE)
    if isinstance(value, dict):  # the rule is about the section, whose keys the user has written
        return message
    if path.endswith(_MAY_HOLD_SECRETS) or may_hold_secret(value):
        return f"the value is not shown, it may be a secret. {_sentence(message)}"
    return f"received {value!r}. {_sentence(message)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
