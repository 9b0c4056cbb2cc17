import subprocess
import sys
import uuid

import pytest

from core.errors import UserError
from core.storage import exists, read_text, write_text

TEXT = "Grüße\u2028\r\n\n"


@pytest.fixture(params=["", "file://", "ram://"], ids=["a path", "file://", "ram://"])
def folder(request, tmp_path):
    """A folder that is not there yet, on a file system."""
    where = {"": str(tmp_path), "file://": f"file://{tmp_path}", "ram://": f"ram://{uuid.uuid4()}"}
    return f"{where[request.param]}/a/b"


def test_a_text_is_read_as_it_was_written(folder):
    uri = f"{folder}/text.txt"
    assert not exists(uri)
    if not uri.startswith("ram://"):  # TensorFlow's own appends where it should overwrite
        write_text(uri, "before")
    write_text(uri, TEXT)
    assert exists(uri)
    assert read_text(uri) == TEXT


def test_a_missing_file_is_named_with_what_to_do(folder):
    with pytest.raises(UserError, match=rf"^There is no file '{folder}/x'\. Check the path, and"):
        read_text(f"{folder}/x")
    with pytest.raises(UserError, match=rf"^There is no file '{folder}/x'\. Set it\.$"):
        read_text(f"{folder}/x", "Set it.")


def test_a_file_that_is_not_utf8_is_named_with_the_place(tmp_path):
    (tmp_path / "x").write_bytes(b"ab\xff")
    with pytest.raises(UserError, match=r"x' cannot be read: byte 3 is not UTF-8\. Check"):
        read_text(str(tmp_path / "x"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: Is a directory\. Check"):
        read_text(str(tmp_path))


def test_local_files_need_no_tfx(tmp_path):
    code = (
        "import sys; from core.storage import *; "
        f"write_text({str(tmp_path / 'x')!r}, 'a'); read_text({str(tmp_path / 'x')!r}); "
        "sys.exit('tfx' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
