"""Unpacks a copy of a compressed answer; what goes on to the client stays as it came."""

import struct
import zlib
from collections.abc import Callable

_GZIP = ("gzip", "x-gzip")

Decompress = Callable[[bytes], bytes]


_SYNC_FLUSH = b"\x00\x00\xff\xff"  # ends what a server has flushed, on a whole byte


class UnpackError(Exception):
    """The bytes are not what their content encoding says, or nothing here can read it."""


def unpacked(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a whole body that is packed with gzip, or not at all.

    Raises:
        UnpackError: It is another encoding, not what it says, or unpacks to more than `max_bytes`.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in _GZIP:
        raise UnpackError(f"the encoding {name[:20]!r} is not supported in requests")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(data, max_bytes)
    except zlib.error:
        raise UnpackError("not gzip") from None
    if unpacker.unused_data:  # of another member, which the receiver would unpack, too
        raise UnpackError("gzip with several members is not supported in requests")
    if not unpacker.eof:
        raise UnpackError(f"not whole, or more than {max_bytes} bytes")
    return plain


class Unpacker:
    """Unpacks bytes piece by piece.

    Args:
        encoding: The content encoding; empty for none.

    Attributes:
        is_plain: Whether there is nothing to unpack.
        is_gzip: Whether it is gzip, to which something can be added.
        size: Bytes unpacked so far.

    Raises:
        UnpackError: Nothing here can read it.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        self.is_plain = name in ("", "identity")
        self.is_gzip = name in _GZIP
        self.size = 0
        self._crc = 0
        self._end = b""
        self._decompress = None if self.is_plain else _decompressor(name)

    def feed(self, data: bytes) -> bytes:
        """Unpack the next bytes.

        Raises:
            UnpackError: They are not what the encoding says.
        """
        if self._decompress is None:
            self.size += len(data)
            return data
        try:
            unpacked = self._decompress(data)
        except Exception as error:  # each library has its own, and zstandard's is not public
            raise UnpackError(f"not the encoding it claims ({type(error).__name__})") from None
        self.size += len(unpacked)
        if self.is_gzip:
            self._crc = zlib.crc32(unpacked, self._crc)
            self._end = (self._end + data[-len(_SYNC_FLUSH) :])[-len(_SYNC_FLUSH) :]
        return unpacked

    def last_words(self, data: bytes) -> bytes | None:
        """Return the bytes that make the client unpack `data`, and then the end.

        None where the encoding or the place in it does not allow that: it has to be gzip that the
        server has flushed just now.

        Reference:
            https://www.rfc-editor.org/rfc/rfc1952#section-2.3
        """
        if self.is_plain:
            return data
        if not self.is_gzip or self._end != _SYNC_FLUSH:
            return None
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(data) + packer.flush()
        crc = zlib.crc32(data, self._crc)
        return packed + struct.pack("<II", crc, (self.size + len(data)) & 0xFFFFFFFF)


def _decompressor(name: str) -> Decompress:
    if name in _GZIP:
        return zlib.decompressobj(wbits=31).decompress
    if name == "deflate":
        return _Deflate().decompress
    try:
        if name == "br":
            import brotli

            return brotli.Decompressor().process
        if name == "zstd":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress
    except ImportError:
        pass
    raise UnpackError(f"the encoding {name[:20]!r} cannot be read")


class _Deflate:
    """With zlib's header, as the standard says, or without, as some servers send it.

    Reference:
        https://www.rfc-editor.org/rfc/rfc1950#section-2.2
    """

    def __init__(self) -> None:
        self._head = b""
        self._inner: Decompress | None = None

    def decompress(self, data: bytes) -> bytes:
        """Unpack the next bytes."""
        if self._inner is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return b""
            has_header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inner = zlib.decompressobj(wbits=15 if has_header else -15).decompress
        return self._inner(data)
