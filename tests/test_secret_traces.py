"""The search for secrets finds each form of them, in everything that a run writes."""

import base64
import gzip
import sqlite3
import zipfile
from urllib.parse import quote_plus

import pyarrow
import pytest
from pyarrow import parquet

from tests.secret_traces import left_in, traces

KEY = "sk-a+b/c=D e0123456789"
SECRETS = {"mine": KEY, "other": "hf_notFoundAnywhere"}


@pytest.mark.parametrize("before", ["", "a", "ab", "abc:"])
@pytest.mark.parametrize(
    "encode",
    [
        str.encode,
        lambda text: quote_plus(text).encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.urlsafe_b64encode(f"{text} and more".encode()),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["plain", "URL", "hexadecimal", "Base64", "within Base64", "packed"],
)
def test_each_form_is_found(before, encode):
    assert traces(encode(before + KEY), SECRETS) == {"mine"}


def test_files_are_opened_as_what_they_are(tmp_path):
    with zipfile.ZipFile(tmp_path / "weights.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("record", f"{KEY} " * 10)
    table = pyarrow.table({"prompt": [KEY, KEY]})
    parquet.write_table(table, tmp_path / "rows.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "metadata.db") as database:
        database.execute("CREATE TABLE notes (text TEXT)")
        database.execute("INSERT INTO notes VALUES (?)", [KEY])
    database.close()
    (tmp_path / "page.html").write_text("nothing")
    found = {path.name: names for path, names in left_in(tmp_path, SECRETS).items()}
    assert found == {name: {"mine"} for name in ("weights.npz", "rows.parquet", "metadata.db")}
