"""Names of environment variables in settings, and keys that were pasted in their place."""

import re
from typing import Annotated

import pydantic

# Of Google, OpenAI and those who copied it, Groq, Hugging Face, xAI, NVIDIA, Replicate, GitHub,
# GitLab, Fireworks, Together, Perplexity, and of tokens that are JSON or OAuth's.
_PREFIXES = (
    "AIza", "AQ.", "sk-", "sk_", "pk_", "rk_", "gsk_", "hf_", "xai-", "nvapi-", "r8_", "ghp_",
    "github_pat_", "glpat-", "fw_", "tgp_", "pplx-", "eyJ", "ya29.",
)  # fmt: skip
_RANDOM = re.compile(r"(?=[a-zA-Z]*\d)[a-zA-Z0-9]{20,}", re.ASCII)  # no word of a name
_USER = re.compile(r"//[^/?#]*@")  # a user name or password in an address
_MIN_KEY_CHARACTERS = 30
FROM_ENVIRONMENT = "env:"
_NO_NAME = (
    "this looks like a key. Export it as an environment variable, and give the variable's name here"
)


def looks_like_key(text: str) -> bool:
    """Whether a text is a key rather than the name of a variable."""
    return text.startswith(_PREFIXES) or _RANDOM.search(text) is not None


def is_key(text: str) -> bool:
    """Whether a text that may be anything, such as a model's name, begins as keys do."""
    return text.startswith(_PREFIXES) and len(text) >= _MIN_KEY_CHARACTERS and "/" not in text


def may_hold_secret(value: object) -> bool:
    """Whether a refused value must not be repeated in a message."""
    text = str(value).removeprefix(FROM_ENVIRONMENT)
    return looks_like_key(text) or _USER.search(text) is not None


def check_name(name: str) -> str:
    """Return the name of a variable.

    Raises:
        ValueError: It looks like a key, which the message does not repeat.
    """
    if looks_like_key(name):
        raise ValueError(_NO_NAME)
    return name


def check_named_address(address: str) -> str:
    """Return an address, or what names the variable that holds it (`env:NAME`).

    Raises:
        ValueError: It holds a user, a password or a key, which the message does not repeat.
    """
    if address.startswith(FROM_ENVIRONMENT):
        check_name(address.removeprefix(FROM_ENVIRONMENT))
    elif _USER.search(address):
        raise ValueError("the address holds a user name or password; remove it")
    return address


VariableName = Annotated[
    str,
    pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60),
    pydantic.AfterValidator(check_name),
]
NamedAddress = Annotated[str, pydantic.AfterValidator(check_named_address)]
