"""Keys: which one a request carries, whether it ever worked here, and the gateway's own."""

import contextlib
import hashlib
import json
import os
import secrets
import urllib.parse
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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


class KnownKeys:
    """The keys that succeeded here, as salted hashes; several gateways may share the folder.

    Args:
        folder: Where they are kept over restarts; None keeps them in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / _FILE if folder else None
        self._watched = WatchedFile(self._file)
        self._salt = secrets.token_bytes(32)
        self._known: OrderedDict[str, None] = OrderedDict()
        kept = self._kept()
        if kept is None:
            # Gateways that start together have to agree on a salt.
            with contextlib.suppress(OSError):
                self._write(is_first=True)
            kept = self._kept()
        if kept is not None:
            self._salt = kept[0]
            self._known = OrderedDict.fromkeys(kept[1])

    def hash(self, key: bytes) -> str:
        """Return the salted hash that stands for a key from here on."""
        return hashlib.blake2b(key, key=self._salt, digest_size=32).hexdigest()

    def has_succeeded(self, hashed: str) -> bool:
        """Whether a request with this key was answered by the service."""
        return hashed in self._known

    def record_success(self, hashed: str) -> None:
        """Remember a key that the service accepted; the one unused for longest is forgotten."""
        is_new = hashed not in self._known
        self._known[hashed] = None
        self._known.move_to_end(hashed)
        if not is_new:
            return
        if len(self._known) > _MAX_KEYS:
            self._known.popitem(last=False)
        # Without a place to write, the hashes are in memory only.
        with contextlib.suppress(OSError):
            self._write()

    def is_outdated(self) -> bool:
        """Whether another gateway has written since; may be called in any thread."""
        return self._watched.has_changed()

    def refresh(self) -> None:
        """Take up the keys that succeeded at other gateways of the folder."""
        kept = self._kept() if self.is_outdated() else None
        if kept is not None and kept[0] == self._salt:
            others = [hashed for hashed in kept[1] if hashed not in self._known]
            self._known = OrderedDict.fromkeys([*others, *self._known][-_MAX_KEYS:])

    def _kept(self) -> tuple[bytes, list[str]] | None:
        """Return the salt and the hashes of the file; None where there are none."""
        if self._file is None:
            return None
        self._watched.note(stamp_of(self._file))
        try:
            values = json.loads(self._file.read_text(encoding="utf-8"))
            known = [str(hashed) for hashed in values["keys"]]
            return bytes.fromhex(values["salt"]), known[-_MAX_KEYS:]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, *, is_first: bool = False) -> None:
        if not self._file:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        known = list(self._known)
        kept = self._kept()
        if kept is not None and kept[0] == self._salt:  # another gateway may have written since
            known = [hashed for hashed in kept[1] if hashed not in self._known] + known
        part = self._file.with_suffix(f".{os.getpid()}.part")
        values = {"salt": self._salt.hex(), "keys": known[-_MAX_KEYS:]}
        with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as written:
            json.dump(values, written)
        if is_first and not self._file.exists():
            with contextlib.suppress(FileExistsError):  # somebody else was the first
                os.link(part, self._file)
            part.unlink()
        else:
            part.replace(self._file)
