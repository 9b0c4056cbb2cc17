"""Keys: which one a request carries, whether it ever worked here, and the gateway's own."""

import hashlib
import json
import os
import secrets
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from core.claim import wait_for_file
from core.errors import UserError
from serving.gateway.watched_file import WatchedFile, stamp_of

_MAX_KEYS = 10_000
_FILE = "keys.json"
GATEWAY_KEY = b"x-understudy-key"


class Credential(NamedTuple):
    """What a request signs in with.

    Attributes:
        value: An API key or a bearer token; empty where it has none.
        is_token: Whether it came as a bearer token, as an OAuth token does, which does not last.
    """

    value: bytes
    is_token: bool = False


def credential(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Credential:
    """Return what a request signs in with.

    Args:
        headers: By lower-case name.
        query: The query string, where Gemini's `key=` may stand.
    """
    for name, value in headers:
        if name in (b"x-goog-api-key", b"api-key") and value:
            return Credential(value)
        if name == b"authorization" and value:
            return Credential(value.partition(b" ")[2].strip() or value, is_token=True)
    if b"key=" in query:
        values = urllib.parse.parse_qs(query.decode("latin-1"))
        return Credential(values.get("key", [""])[0].encode())
    return Credential(b"")


class KeptKeys(NamedTuple):
    """The keys in the file.

    Attributes:
        salt: Of the hashes.
        hashes: The latest last.
        saved: Those of this gateway that are among them now, and were not.
    """

    salt: bytes
    hashes: list[str]
    saved: tuple[str, ...] = ()


class _EarlyKeys(NamedTuple):
    """Keys that succeeded before the file could be read; a new hash needs the key itself.

    Attributes:
        salt: Of the hashes.
        hashes: Those that no request has brought since.
    """

    salt: bytes
    hashes: set[str]


class KnownKeys:
    """The keys that succeeded here, as salted hashes; several gateways may share the folder.

    A key is written at the next `look`: nobody's answer waits for a disk.

    Args:
        folder: Where they are kept over restarts; None keeps them in memory.

    Attributes:
        problem: Why they are not kept; empty where they are.
        on_new: Called when a key succeeded for the first time, so that `look` comes soon.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / _FILE if folder else None
        self._watched = WatchedFile(self._file)
        self._salt = secrets.token_bytes(32)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._unsaved: dict[str, None] = {}
        self._is_begun = self._file is None  # whether the salt is that of the file
        self._early = _EarlyKeys(b"", set())
        self.problem = ""
        self.on_new: Callable[[], None] = lambda: None
        if (found := self.look()) is not None:
            self.take_up(found)

    def hash(self, key: bytes) -> str:
        """Return the salted hash that stands for a key from here on."""
        hashed = _hashed(key, self._salt)
        if self._early.hashes and (early := _hashed(key, self._early.salt)) in self._early.hashes:
            self._early.hashes.remove(early)
            self.record_success(hashed)
        return hashed

    def has_succeeded(self, hashed: str) -> bool:
        """Whether a request with this key was answered by the service."""
        return hashed in self._known

    def record_success(self, hashed: str) -> None:
        """Remember a key that the service accepted; the one unused for longest is forgotten."""
        is_new = hashed not in self._known
        if is_new:
            self._unsaved[hashed] = None
        self._known[hashed] = None
        self._known.move_to_end(hashed)
        if len(self._known) > _MAX_KEYS:
            forgotten, _ = self._known.popitem(last=False)
            self._unsaved.pop(forgotten, None)
        if is_new:
            self.on_new()

    def look(self) -> KeptKeys | None:
        """Write what succeeded here, and read what succeeded at the other gateways of the folder.

        May be called in any thread, by one at a time.

        Returns:
            What the file holds, for `take_up`; None where it is as it was, or cannot be read.
        """
        if self._file is None:
            return None
        unsaved = tuple(self._unsaved)
        try:
            if self._is_begun and not unsaved:
                return self._read() if self._watched.has_changed() else None
            found = None if self._is_begun else self._read()
            found = found or self._merged(self._file, unsaved)
        except (OSError, UserError) as error:
            # What lies there is others', too: it stays until it can be read.
            self.problem = f"{str(self._file)!r} cannot be read and written ({_why(error)})"
            return None
        self.problem = ""
        return found

    def take_up(self, found: KeptKeys) -> None:
        """Know what the file holds."""
        if found.salt != self._salt:  # the file was begun again, so nobody knows the old hashes
            if not self._is_begun:  # it could not be read until now
                self._early = _EarlyKeys(self._salt, set(self._known))
            self._salt = found.salt
            self._unsaved.clear()
            self._known.clear()
        self._is_begun = True
        others = [hashed for hashed in found.hashes if hashed not in self._known]
        self._known = OrderedDict.fromkeys([*others, *self._known][-_MAX_KEYS:])
        for hashed in found.saved:
            self._unsaved.pop(hashed, None)

    def _merged(self, file: Path, unsaved: tuple[str, ...]) -> KeptKeys:
        """Return what the file holds once the keys of this gateway are in it.

        Raises:
            OSError: It cannot be read or written.
            UserError: It cannot be locked.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        with wait_for_file(file.with_suffix(".lock")):
            kept = self._read()
            if kept is not None and kept.salt != self._salt:
                return kept
            known = list(self._known)
            others = set(known)
            before = [hashed for hashed in kept.hashes if hashed not in others] if kept else []
            found = KeptKeys(self._salt, [*before, *known][-_MAX_KEYS:], unsaved)
            self._write(file, found)
            return found

    def _read(self) -> KeptKeys | None:
        """Return what the file holds; None where there is none, or it is damaged.

        Raises:
            OSError: Nobody can tell, as where a folder on another machine does not answer.
        """
        assert self._file is not None
        stamp = stamp_of(self._file)
        if stamp is None:
            self._watched.note(None)
            return None
        text = self._file.read_bytes()
        self._watched.note(stamp)
        try:
            values = json.loads(text)
            hashes = [str(hashed) for hashed in values["keys"]]
            return KeptKeys(bytes.fromhex(values["salt"]), hashes[-_MAX_KEYS:])
        except (ValueError, KeyError, TypeError):
            return None

    def _write(self, file: Path, found: KeptKeys) -> None:
        # In containers every gateway has the same process ID.
        part = file.with_suffix(f".{secrets.token_hex(8)}.part")
        values = {"salt": found.salt.hex(), "keys": found.hashes}
        try:
            with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as written:
                json.dump(values, written)
            stamp = stamp_of(part)
            part.replace(file)
            self._watched.note(stamp)
        finally:
            part.unlink(missing_ok=True)


def _hashed(key: bytes, salt: bytes) -> str:
    return hashlib.blake2b(key, key=salt, digest_size=32).hexdigest()


def _why(error: OSError | UserError) -> str:
    return str(error) if isinstance(error, UserError) else error.strerror or type(error).__name__
