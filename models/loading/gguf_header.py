"""Reads the fields at the head of a GGUF file, without its tensors.

`gguf.GGUFReader` makes an array of every entry of a table; a vocabulary takes it 15 seconds.
The layout is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import io
import struct
from typing import Any, BinaryIO

from core.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_BOOL, _STRING, _ARRAY = 7, 8, 9
_BLOCK_BYTES = 1 << 16  # a text that is longer is looked at before it is read
_MAX_DEPTH = 4  # of arrays in arrays; llama.cpp writes none
# Formats of `struct` by the number of the type.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}


def read_fields(stream: BinaryIO, name: str) -> dict[str, Any]:
    """Read the fields of a GGUF file.

    Args:
        stream: The file, or its beginning.
        name: The file's name, for messages.

    Returns:
        Numbers, texts and lists by key.

    Raises:
        ModelError: This is not the beginning of a GGUF file.
    """
    try:
        if stream.read(4) != _MAGIC:
            raise ValueError("it does not begin with GGUF")
        version, _, n_fields = _unpack(stream, "IQQ")
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}")
        fields = {}
        for _ in range(n_fields):
            key = _text(stream)
            fields[key] = _value(stream, _unpack(stream, "I")[0])
        return fields
    except (ValueError, KeyError, struct.error) as error:
        raise ModelError(
            f"{name!r} is not a readable GGUF file ({error}). It may be truncated: compare its "
            "size with the original and copy it again."
        ) from error


def _left(stream: BinaryIO) -> int:
    """Count the bytes that are still to come."""
    here = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return end - here


def _unpack(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    layout = f"<{layout}"
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def _text(stream: BinaryIO) -> str:
    (length,) = _unpack(stream, "Q")
    # A length that is no length would be room that is asked for before a byte is read.
    if length > _BLOCK_BYTES and length > _left(stream):
        raise ValueError("it ends within a text")
    data = stream.read(length)
    if len(data) < length:
        raise ValueError("it ends within a text")
    return data.decode("utf-8")


def _value(stream: BinaryIO, kind: int, depth: int = 0) -> Any:
    if kind == _STRING:
        return _text(stream)
    if kind == _BOOL:
        return bool(_unpack(stream, "B")[0])
    if kind != _ARRAY:
        return _unpack(stream, _NUMBERS[kind])[0]
    inner, count = _unpack(stream, "IQ")
    if depth == _MAX_DEPTH or count > _left(stream):  # an entry has a byte or more
        raise ValueError("it ends within an array")
    if inner in _NUMBERS:
        return list(_unpack(stream, f"{count}{_NUMBERS[inner]}"))
    return [_value(stream, inner, depth + 1) for _ in range(count)]
