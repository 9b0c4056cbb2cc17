"""Prompt texts of the components: versioned files, filled in as plain text.

A change of meaning makes a new file with the next version, so that the version kept with a reply
still identifies the prompt it was given.
"""

import functools
import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

import jinja2
import jinja2.meta
import pydantic

from core.errors import UserError

_DIGEST_CHARS = 12


def render(file: Path, own_text: str | None = None, **values: str | int) -> str:
    """Fill in a prompt text.

    Values are inserted as they are, and nothing inside them is read as template code.

    Args:
        file: A Jinja template.
        own_text: A template that takes its place; None for none.
        **values: A value for every variable of the text; a missing one is an error.
    """
    template = _template(_text_of(file) if own_text is None else own_text)
    return template.render(**values)


def version_of(own_text: str) -> str:
    """Return what identifies a text that takes the place of a versioned file."""
    return f"sha256:{hashlib.sha256(own_text.encode()).hexdigest()[:_DIGEST_CHARS]}"


def raise_if_replaced_in_part(
    prompts: pydantic.BaseModel, name: str, single: str, *, room: str, where: str, file: Path
) -> None:
    """Refuse a text of the user's own that would not be used for some rows.

    Args:
        prompts: The settings of prompt texts, by name; None keeps the shipped one.
        name: The text for these rows.
        single: The text for the others.
        room: Where both are in a preset, such as `evaluator.prompts`.
        where: Which rows these are.
        file: The shipped text for these rows.

    Raises:
        UserError: The text for the others was replaced, and the one for these rows was not.
    """
    texts = prompts.model_dump()
    if texts.get(single) and not texts.get(name):
        raise UserError(
            f"{room}.{single} is a prompt text of your own, and {where} are asked about with "
            f"another one, {room}.{name}, which you have not replaced. Set it, too; to begin with, "
            f"copy {file.parent.parent.name}/{file.parent.name}/{file.name}."
        )


def reader(known: Collection[str], needed: Collection[str]) -> Callable[[object], object]:
    """Return a validator of a setting that names the file of a prompt text.

    The file is read when the configuration is, so that a round gets the text itself, which TFX's
    cache and a machine elsewhere know of; the validator takes such a text, too.

    Args:
        known: Variables that the text may use.
        needed: Those that it must use.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        text = value if "\n" in value or "{{" in value else _read(value)
        try:
            used = jinja2.meta.find_undeclared_variables(_environment().parse(text))
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"the prompt text is not a valid Jinja template: {error}") from error
        if unknown := sorted(used - set(known)):
            raise ValueError(
                f"the prompt text uses {', '.join(unknown)}; it may use "
                f"{', '.join(sorted(known)) or 'no variable'}"
            )
        if missing := sorted(set(needed) - used):
            raise ValueError(
                f"the prompt text does not use {', '.join(missing)}; write "
                f"{', '.join('{{ ' + name + ' }}' for name in missing)} where it belongs"
            )
        return text

    return read


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip() + "\n"
    except (OSError, ValueError) as error:
        raise ValueError(f"the prompt text cannot be read ({error}); give a file's path") from error


@functools.cache
def _text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@functools.cache
def _template(text: str) -> jinja2.Template:
    return _environment().from_string(text)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text for a language model, not HTML
    )
