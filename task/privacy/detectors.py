"""Find personal data and secrets: mail, phone, IBAN, cards, national numbers, and API keys.

Numbers count only with a valid checksum, so an order number is rarely taken for one. Names need a
model: see `task.privacy.named_entities`.
"""

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from task.privacy.escapes import is_json, is_quoted, unescaped
from task.privacy.named_entities import named_entities
from task.privacy.settings import PrivacySettings

_MIN_DIGITS = 4  # of any number that is looked for
_WORD_DISTANCE = 40  # characters before a number in which a word may say what it is
_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b")
# Possessive: a long word is not divided into groups in all ways.
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{1,4}+){3,8}\b")
_CARD = re.compile(
    r"(?<![\d.,-])(?<!\d )(?:(?:[4-6]\d{3}|2[2-7]\d\d)[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,4}"
    r"(?:[ -]?\d{3})?|3\d{3}[ -]?\d{6}[ -]?\d{4,5})(?![ -]?\d)"
)
_MAYBE_PHONE = re.compile(r"[+(]?\d[\d\s()./\-\u2010-\u2015]{5,}\d")
_PHONE_MARKS = re.compile(r"[+()\s./\-]")
# What looks like a phone or a national number and is none: dates, and the VAT numbers of companies,
# by their label or by a country's code and its count of digits.
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d"
    r"|(?:19|20)\d\d([./-])\d{1,2}\2\d{1,2})(?!\d)"
)
_VAT_LABELED = re.compile(
    r"\b(?:VAT|BTW|TVA|MwSt|USt|UID|IVA|KBO|BCE|KvK|SIREN|SIRET)\b[-.]?"
    r"(?:[ -]?(?:id|no|nr|num|number|nummer|reg)\b)*[-.: ]*(?:[A-Z]{2,3}[ .-]?)?"
    r"(\d(?:[ .-]?\d){7,13})(?!\d)",
    re.IGNORECASE,
)
_VAT_PREFIXED = re.compile(r"\b([A-Z]{2})[ .-]?(\d(?:[ .]?\d){7,11})(?!\d)")
_VAT_DIGITS = {
    "BE": 10, "DE": 9, "DK": 8, "EE": 9, "EL": 9, "FI": 8, "FR": 11, "GB": 9, "HU": 8, "IT": 11,
    "LU": 8, "PL": 10, "SE": 12, "SI": 8, "SK": 10,
}  # fmt: skip
# What every national number of the table holds; most texts do not, and are spared its patterns.
_MAYBE_NATIONAL = re.compile(r"\d(?:[ ./+-]?\d){5}|[A-Z]{4}\d")
_SHORT_WORD = 4  # letters; longer ones are also found as the beginning of a compound
# As the services document them; each begins with a mark of its own.
_KEYS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----BEGIN )[\s\S])+?-----END [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{35}|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}"
    r"|eyJ[\w-]{10,2000}\.eyJ[\w-]{10,}\.[\w-]{10,})(?![A-Za-z0-9_])"
)


class Finding(NamedTuple):
    """Personal data or a secret in a text.

    Attributes:
        kind: `EMAIL`, `PHONE`, `IBAN`, `CARD`, `NATIONAL_ID`, `KEY`, `PERSON` or `LOCATION`.
        start: Index of its first character.
        end: Index after its last character.
        value: The same for all spellings of it.
    """

    kind: str
    start: int
    end: int
    value: str


class _NationalNumber(NamedTuple):
    is_valid: Callable[[str], bool]
    pattern: re.Pattern[str] | None
    bare: re.Pattern[str] | None
    words: re.Pattern[str]


def find(text: str, settings: PrivacySettings | None = None) -> list[Finding]:
    """Find personal data in a text, in its order; findings do not overlap.

    Args:
        text: Any text; one with escapes, as JSON has them, is read without.
        settings: Where phone numbers may come from, and the models that find names.

    Example:
        >>> [finding.kind for finding in find("Write to ada@example.org")]
        ['EMAIL']
    """
    used = settings or PrivacySettings()
    return _in_both(text, lambda form: _apart(form, _candidates(form, used)))


def holds_any(text: str, settings: PrivacySettings | None = None) -> bool:
    """Whether `find` finds anything, or more; ends at the first of it."""
    used = settings or PrivacySettings()
    return any(any(_apart(form, _candidates(form, used))) for form in _forms(text))


def holds_checked_number(text: str) -> bool:
    """Whether a text has an IBAN or the number of a card, both of which have a checksum."""
    return any(any(_ibans(form)) or any(_cards(form)) for form in _forms(text))


def _forms(text: str) -> set[str]:
    return {text, unescaped(text).text}


def _in_both(text: str, search: Callable[[str], Iterable[Finding]]) -> list[Finding]:
    """Search a text without its escapes and, unless it is JSON, as it is.

    In other texts a backslash may be an escape, as in JSON that they quote, or not, as in a path.
    """
    plain, places = unescaped(text)
    found = [it._replace(start=places[it.start], end=places[it.end]) for it in search(plain)]
    if plain != text and not is_json(text):
        as_it_is = list(search(text))
        first = [it for it in found if is_quoted(text, it.start)]
        for others in (as_it_is, found):
            first += [it for it in others if not _meets(it, first)]
        found = first
    return sorted(found, key=lambda finding: finding.start)


def _meets(finding: Finding, others: Iterable[Finding]) -> bool:
    return any(it.start < finding.end and finding.start < it.end for it in others)


def _apart(text: str, candidates: Iterable[Finding]) -> Iterator[Finding]:
    """Return the findings that do not overlap, of the surest kinds."""
    found: list[Finding] = []
    innocent: list[tuple[int, int]] | None = None  # looked for only where it is needed: it is slow
    for finding in candidates:
        taken = [(other.start, other.end) for other in found]
        if finding.kind in ("PHONE", "NATIONAL_ID"):
            innocent = list(_innocent(text)) if innocent is None else innocent
            taken += innocent
        if all(finding.end <= start or end <= finding.start for start, end in taken):
            found.append(finding)
            yield finding


def without_keys(text: str) -> str:
    """Return a text with `[KEY]` in place of every API key and private key."""
    parts, last = [], 0
    for finding in _in_both(text, _keys):
        parts += [text[last : finding.start], "[KEY]"]
        last = finding.end
    return "".join([*parts, text[last:]])


def _innocent(text: str) -> Iterator[tuple[int, int]]:
    """Return where dates and the VAT numbers of companies are."""
    for match in _DATE.finditer(text):
        yield match.span()
    for match in _VAT_LABELED.finditer(text):
        yield match.span(1)
    for match in _VAT_PREFIXED.finditer(text):
        if _VAT_DIGITS.get(match[1]) == sum(map(str.isdigit, match[2])):
            yield match.span(2)


def _candidates(text: str, settings: PrivacySettings) -> Iterator[Finding]:
    """Return the findings, the surest kinds first."""
    yield from _marked(text)
    if sum(map(str.isdigit, text)) >= _MIN_DIGITS:
        yield from _ibans(text)
        yield from _cards(text)
        yield from _national_numbers(text)
        yield from _phones(text, settings.phone_regions)
    for kind, start, end in named_entities(text, settings.presidio_models):
        yield Finding(kind, start, end, text[start:end].casefold())


def _marked(text: str) -> Iterator[Finding]:
    yield from _keys(text)
    for match in _MAIL.finditer(text) if "@" in text else ():
        yield Finding("EMAIL", match.start(), match.end(), match[0].casefold())


def _keys(text: str) -> Iterator[Finding]:
    for match in _KEYS.finditer(text):
        yield Finding("KEY", match.start(), match.end(), match[0])


def _ibans(text: str) -> Iterator[Finding]:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # Words that follow an IBAN look like a part of it.
        candidate = match[0]
        while candidate and not iban.is_valid(candidate):
            candidate = candidate.rpartition(" ")[0]
        if candidate:
            end = match.start() + len(candidate)
            yield Finding("IBAN", match.start(), end, iban.compact(candidate))


def _cards(text: str) -> Iterator[Finding]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if luhn.is_valid(digits) and len(set(digits)) > 1:
            yield Finding("CARD", match.start(), match.end(), digits)


def _national_numbers(text: str) -> Iterator[Finding]:
    if not _MAYBE_NATIONAL.search(text):
        return
    lower = text.lower()
    for number in _national_table():
        if number.pattern:
            for match in number.pattern.finditer(text):
                if number.is_valid(match[0]):
                    yield _national(match)
        if number.bare and number.words.search(lower):
            for match in number.bare.finditer(text):
                before = lower[max(0, match.start() - _WORD_DISTANCE) : match.start()]
                if number.words.search(before) and number.is_valid(match[0]):
                    yield _national(match)


def _national(match: re.Match[str]) -> Finding:
    value = re.sub(r"[\W_]", "", match[0]).upper()
    return Finding("NATIONAL_ID", match.start(), match.end(), value)


@functools.cache
def _national_table() -> tuple[_NationalNumber, ...]:
    path = Path(__file__).with_name("national_numbers.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        _NationalNumber(
            importlib.import_module(f"stdnum.{name}").is_valid,
            _bounded(entry.get("pattern")),
            _bounded(entry.get("bare")),
            re.compile("|".join(map(_word, entry.get("words", ())))),
        )
        for name, entry in table.items()
    )


def _word(word: str) -> str:
    return rf"\b{re.escape(word)}" + (r"\b" if len(word) <= _SHORT_WORD else "")


def _bounded(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(rf"(?<![\w.-]){pattern}(?![\w-])") if pattern else None


def _phones(text: str, regions: Sequence[str]) -> Iterator[Finding]:
    if not _MAYBE_PHONE.search(text):
        return
    import phonenumbers

    for region in (None, *regions):
        matcher = phonenumbers.PhoneNumberMatcher(
            text, region, leniency=phonenumbers.Leniency.STRICT_GROUPING
        )
        for match in matcher:
            # Digits alone, in the length of a local number, are as likely an order number.
            if region is None or len(_PHONE_MARKS.findall(match.raw_string)) > 1:
                value = phonenumbers.format_number(
                    match.number, phonenumbers.PhoneNumberFormat.E164
                )
                yield Finding("PHONE", match.start, match.end, value)
