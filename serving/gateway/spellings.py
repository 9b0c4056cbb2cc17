"""The spellings in which a text may hold personal data that its detectors do not see as it is."""

import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

# Drawn with no width or over another character; `_FILLERS` are such, too, and letters in Unicode.
_UNSEEN = frozenset({"Cf", "Mn", "Me", "Cc", "Cn", "Co", "Cs"})
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_WHITE = frozenset("\t\n\v\f\r\x85")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MAX_NESTED = 8  # percent signs, entities and escapes within one another
_ESCAPE = re.compile(  # of JSON within a text, of other languages, and of JavaScript's `escape`
    r"(?<!\\)\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[ux]\{([0-9a-fA-F]{1,8})\}|U([0-9a-fA-F]{8}))"
    r"|%u([0-9a-fA-F]{4})"
)
# JSON writes a character beyond the first 65,536 as two escapes, of which either is unseen.
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_WHITE_ESCAPE = re.compile(r"(?<!\\)\\+([nrt])")
_WHITE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_SOFT_BREAK = re.compile(r"=\r?\n")  # of quoted-printable
_QUOTED = re.compile(r"(?:=[0-9a-fA-F]{2})+")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))
_TAG = re.compile(r"<[/!A-Za-z][^<>@]{0,200}>")
_SPACE = re.compile(r"\s+")
# Between the groups of a number. A run of them has one beginning, so none is read twice.
_LONG_GAP = re.compile(r"(?<=\w)(?:[\s./-]{2,}|[^\S ])(?=\d)|(?<=\d)(?:[\s./-]{2,}|[^\S ])(?=\w)")
# What may also be a date's or a table's, and counts only where a checksum says that it is none.
_GAP = re.compile(
    r"(?<=[^\W_])[\s.,:;/|_>\u00b7*\"'-]+(?=\d)|(?<=\d)[\s.,:;/|_>\u00b7*\"'-]+(?=[^\W_])"
)
_PHONE = re.compile(r"\+\(?\d(?:[ ./|_>()*\u00b7-]{0,6}\d){6,14}(?!\d)")
_AROUND_MAIL = re.compile(r"[*`\"'~]")
_AT = re.compile(r" ?[\[({<]at[\])}>] ?", re.IGNORECASE)
_DOT = re.compile(r" ?[\[({<]dot[\])}>] ?", re.IGNORECASE)
# With spaces around its sign, a mail address looks like a decorator or a product of matrices: it
# counts by its last part alone, a country's or one of the usual ones.
_SPACED_MAIL = re.compile(
    r"(?<=[\w.+-]) ?@ ?(?:[\w-]{1,63}(?:\.| \. ))+(?:[^\W\d_]{2}|com|org|net|edu|gov|mil|int|info"
    r"|biz|name|pro|app|dev|xyz|online|shop|store|site|club|cloud|email|example|test)"
    r"(?![\w(\[]|[.-]\w)",
    re.IGNORECASE,
)


class TooNestedError(ValueError):
    """A text is escaped too many times."""


def plain(text: str) -> str:
    """Return a text in plain characters: without what hides a mail or a number.

    Raises:
        TooNestedError: It is escaped too many times.
    """
    found = unicodedata.normalize("NFKC", _unescaped(text)).translate(_DASHES)
    if found.isascii() and not _CONTROL.search(found):
        return found
    return "".join(str(unicodedata.digit(each, each)) for each in found if _is_seen(each))


def undone(text: str) -> str:
    """Return a plain text without quoted-printable and without JSON's escapes of white space."""
    text = _WHITE_ESCAPE.sub(lambda escape: _WHITE_ESCAPES[escape[1]], text)
    return _QUOTED.sub(_of_quoted, _SOFT_BREAK.sub("", text))


def spaced(text: str) -> str:
    """Return a text with one space for an unusual gap in a number."""
    return _LONG_GAP.sub(" ", text)


def grouped(text: str) -> str:
    """Return a text with one space for whatever separates the groups of a number.

    It makes one number of a date and of a row of a table: only a checksum tells them apart.
    """
    return _GAP.sub(" ", _TAG.sub(" ", text))


def phones(text: str) -> Iterator[str]:
    """Return what may be international phone numbers, each without its gaps."""
    for found in _PHONE.finditer(_SPACE.sub(" ", text)):
        yield "+" + "".join(filter(str.isdigit, found[0]))


def has_spaced_mail(text: str) -> bool:
    """Whether a text has a mail address with spaces, tags, marks or words within."""
    if "@" not in text and not _AT.search(text):
        return False
    text = _DOT.sub(".", _AT.sub("@", _SPACE.sub(" ", text)))
    return bool(_SPACED_MAIL.search(_SPACE.sub(" ", _AROUND_MAIL.sub("", _TAG.sub("", text)))))


def _unescaped(text: str) -> str:
    for _ in range(_MAX_NESTED):
        found = _PAIR.sub(_paired, _ESCAPE.sub(_character, html.unescape(unquote(text))))
        if found == text:
            return text
        text = found
    raise TooNestedError


def _character(escape: re.Match[str]) -> str:
    number = int(next(filter(None, escape.groups())), 16)
    return chr(number) if number <= sys.maxunicode else escape[0]


def _paired(halves: re.Match[str]) -> str:
    return halves[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _of_quoted(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("=", "")).decode("utf-8", "replace")


def _is_seen(character: str) -> bool:
    is_unseen = unicodedata.category(character) in _UNSEEN or character in _FILLERS
    return character in _WHITE or not is_unseen
