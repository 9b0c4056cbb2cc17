"""The situations that customers write about, each with what follows from it."""

import functools
from typing import NamedTuple

from standin.labels import CATEGORIES
from standin.templates import Template, read_sections

_LANGUAGE_FILE = "languages"
_PRODUCT_SLOTS = frozenset({"d", "ds", "o", "p"})


class Situation(NamedTuple):
    """What a message is about.

    Attributes:
        category: Its category.
        priority: Its priority as long as nothing else is said about it.
        product: The only product that it fits, or None when it fits any.
        language: English, or the language of a complete message.
        template: Its texts.
    """

    category: str
    priority: str
    product: str | None
    language: str
    template: Template

    @property
    def can_name_product(self) -> bool:
        """Whether there is a place for a product's name."""
        return bool(self.template.slots & _PRODUCT_SLOTS)


@functools.cache
def situations() -> tuple[Situation, ...]:
    """All situations of the grammar."""
    found = []
    for name in (*CATEGORIES, "products", _LANGUAGE_FILE):
        for header, templates in read_sections(name).items():
            category, priority, *rest = header.split()
            own = " ".join(rest) or None
            is_foreign = name == _LANGUAGE_FILE
            for template in templates:
                language = own if is_foreign and own else "English"
                product = None if is_foreign else own
                found.append(Situation(category, priority, product, language, template))
    return tuple(found)


@functools.cache
def choices(
    category: str, priority: str, language: str, product: str | None
) -> tuple[Situation, ...]:
    """Return the situations to choose from.

    Args:
        category: Wanted category.
        priority: Wanted priority.
        language: Wanted language.
        product: The product that the message is to name, or None for none.
    """
    fitting = (
        situation
        for situation in situations()
        if (situation.category, situation.priority, situation.language)
        == (category, priority, language)
        and situation.product in (None, product)
    )
    if language == "English":
        return tuple(fitting)
    # English texts can name a product in a sentence of its own, and can speak of "the device";
    # complete messages in other languages do neither.
    return tuple(s for s in fitting if s.can_name_product == (product is not None))
