"""Whether the body of a request holds personal data; for the mode `private`."""

import json
import re
from collections.abc import Iterator, Sequence, Set
from typing import Any
from urllib.parse import parse_qsl

from serving.gateway import spellings
from serving.gateway.client_side import Client
from serving.gateway.task import ServedTask
from serving.gateway.threads import SEARCHING
from serving.gateway.unpacking import UnpackError, unpacked
from task.privacy import PrivacySettings, holds_any, holds_checked_number

MAX_SEARCHED = 1024 * 1024  # bytes
# In a request, or fetched by the service from elsewhere: nobody here can read what is in them.
_FILES = frozenset(
    {
        *("inlineData", "inline_data", "fileData", "file_data", "input_audio"),
        *("image_url", "file_id", "file_url"),
    }
)
_CONTENTS = frozenset({"data", "url", "fileUri", "file_uri"})
_DATA_URL = re.compile(r"data:[^,\s]{0,200};base64,", re.IGNORECASE)
# What may be phone numbers, one after the other: its characters take a millisecond each to search.
_NUMBERS = re.compile(r"\d[\d\s()./-]{5,}\d")
_MAX_NUMBERS = 5000  # characters in a request
_KEY = "key"  # in the query; the service's own
# Headers that are the service's credentials, or that software writes.
_NOT_SEARCHED = frozenset(
    {
        *(b"authorization", b"x-goog-api-key", b"api-key", b"x-api-key", b"x-understudy-key"),
        *(b"user-agent", b"x-goog-api-client", b"host"),
    }
)


class UnreadableBodyError(Exception):
    """Nobody can say whether a body holds personal data."""


async def holds_personal_data(client: Client, body: bytes, tasks: Sequence[ServedTask]) -> bool:
    """Whether anything that a user may have written into a request holds personal data.

    Searched are every text of the JSON body, the path, the query and the headers, off the event
    loop. The tasks' instructions are no user's, and the service knows them: they are left out.

    Args:
        client: Whose request it is.
        body: Of the request, whole.
        tasks: With their instructions, and the countries whose phone numbers are found.

    Raises:
        UnreadableBodyError: It is not JSON, or has a file in it.
    """
    known = {
        _squeezed(text)
        for task in tasks
        for text in (task.instruction, *task.accepted_instructions)
    }
    texts = {client.raw_path, *_of_query(client.query.decode("latin-1"))}
    texts |= {_of_header(value) for name, value in client.headers if name not in _NOT_SEARCHED}
    if body.strip():
        encoding = client.header(b"content-encoding").decode("latin-1")
        texts.update(_unknown(body, encoding, known))
    settings: list[PrivacySettings] = []
    for task in tasks:
        if task.privacy not in settings:  # they cannot be hashed
            settings.append(task.privacy)
    return await SEARCHING.run(_any, list(texts), settings or [PrivacySettings()])


def _of_query(query: str) -> Iterator[str]:
    for name, value in parse_qsl(query, keep_blank_values=True):
        yield name
        if name != _KEY:
            yield value


def _of_header(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _unknown(body: bytes, encoding: str, known: Set[str]) -> set[str]:
    try:
        plain = unpacked(body, encoding, MAX_SEARCHED).decode()
        # Each pair: where a name comes twice, nobody knows which one the service reads.
        value = json.loads(plain, object_pairs_hook=_Pairs)
        return {text for text in _strings(value, known) if _squeezed(text) not in known}
    except (ValueError, RecursionError, UnpackError) as error:
        raise UnreadableBodyError from error


class _Pairs(tuple[tuple[str, Any], ...]):
    """The names and values of a JSON object."""

    __slots__ = ()


def _any(texts: Sequence[str], settings: Sequence[PrivacySettings]) -> bool:
    """Whether any of the texts holds personal data.

    Raises:
        UnreadableBodyError: There is too much in them that may be numbers.
    """
    try:
        plain = [spellings.plain(text) for text in texts]
    except spellings.TooNestedError:
        raise UnreadableBodyError from None
    # Quoted-printable is decoded as well as the text, as an equals sign is more often none of it.
    readings = {each: {each, spellings.undone(each)} for each in plain}
    numbers = sum(_numbers(each) for reading in readings.values() for each in reading)
    if numbers > _MAX_NUMBERS:
        raise UnreadableBodyError
    return any(
        _is_in(spelling, settings)
        for text, its in zip(texts, plain, strict=True)
        for spelling in {text, *readings[its]}
    )


def _numbers(text: str) -> int:
    """Return how many characters may be phone numbers, which take long to search."""
    as_it_is = sum(len(found[0]) for found in _NUMBERS.finditer(text))
    return as_it_is + sum(map(len, spellings.phones(text)))


def _is_in(text: str, settings: Sequence[PrivacySettings]) -> bool:
    if any(holds_any(each, its) for each in {text, spellings.spaced(text)} for its in settings):
        return True
    if holds_checked_number(spellings.grouped(text)) or spellings.has_spaced_mail(text):
        return True
    return holds_any("; ".join(spellings.phones(text)))


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _strings(value: Any, known: Set[str]) -> Iterator[str]:
    if isinstance(value, str):
        if _DATA_URL.search(value):
            raise UnreadableBodyError
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, known)
        # A mail address may be spread over the parts of one message.
        texts = [_text_of(part) for part in value]
        yield "".join(text for text in texts if _squeezed(text) not in known)
    elif isinstance(value, _Pairs):
        for name, part in value:
            if name in _FILES and not _is_schema(part):
                raise UnreadableBodyError
            yield name
            yield from _strings(part, known)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)  # a number of an account or a phone may be no text


def _is_schema(value: Any) -> bool:
    """Whether a name of `_FILES` is that of a field in a JSON schema."""
    names = {name for name, _ in value} if isinstance(value, _Pairs) else set()
    return "type" in names and not names & _CONTENTS


def _text_of(part: Any) -> str:
    if not isinstance(part, _Pairs):
        return ""
    return "".join(text for name, text in part if name == "text" and isinstance(text, str))
