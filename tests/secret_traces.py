"""Looks for secrets in all that a run leaves behind, whatever they are packed in."""

import base64
import gzip
import io
import sqlite3
import zipfile
from urllib.parse import quote, quote_plus

from pyarrow import parquet

_SQLITE, _GZIP, _ZIP, _PARQUET = b"SQLite format 3\0", b"\x1f\x8b", b"PK\x03\x04", b"PAR1"


def forms(secret):
    """How a secret may be written: as it is, in a URL, as hexadecimal, or inside Base64 text."""
    data = secret.encode()
    found = {data, quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {data.hex().encode(), data[::-1]}
    for before in range(3):  # bytes in front of it, by which its Base64 is another
        encoded = base64.b64encode(bytes(before) + data)
        # What neither the bytes in front nor those behind have a share in.
        whole = encoded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def traces(data, secrets):
    """The secrets, of a mapping by name, whose forms are in some bytes."""
    return {
        name
        for name, secret in secrets.items()
        for part in unpacked(data)
        if any(form in part for form in forms(secret))
    }


def unpacked(data):
    """Some bytes, and what is packed in them."""
    yield data
    if data.startswith(_GZIP):
        yield from unpacked(gzip.decompress(data))
    elif data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from unpacked(archive.read(name))
    elif data.startswith(_SQLITE):
        database = sqlite3.connect(":memory:")
        database.deserialize(data)
        yield "\n".join(database.iterdump()).encode()
        database.close()
    elif data.startswith(_PARQUET):
        yield repr(parquet.read_table(io.BytesIO(data)).to_pylist()).encode()


def left_in(folder, secrets):
    """Which files below a folder hold which secrets, by path."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {path: traces(path.read_bytes(), secrets) for path in files}
    return {path: names for path, names in found.items() if names}
