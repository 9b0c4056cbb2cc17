"""TensorFlow's `ram://` file system as a bucket: a local `open()` of what is in it cannot succeed.

TFX and Beam are taught the scheme as they know `gs://`; nothing of this repository is.
"""

import contextlib
import io
from pathlib import PurePosixPath
from unittest import mock

import tensorflow as tf
from apache_beam.io.filesystem import CompressedFile, CompressionTypes, FileMetadata, FileSystem
from tfx.dsl.io import filesystem_registry
from tfx.dsl.io.plugins.tensorflow_gfile import TensorflowFilesystem

gfile = tf.io.gfile
SCHEME = "ram://"


class RamPath(str):
    """A URI with what `LocalVertex` asks of a `Path`."""

    def __truediv__(self, name):
        return RamPath(f"{self.rstrip('/')}/{name}")

    def with_name(self, name):
        return RamPath(f"{self.rpartition('/')[0]}/{name}")

    def read_text(self, encoding="utf-8"):
        return self.read_bytes().decode(encoding)

    def read_bytes(self):
        with gfile.GFile(str(self), "rb") as file:
            return file.read()


class _GFile(gfile.GFile):
    """`ram://` appends to a file that is written again; `gs://` replaces it."""

    def __init__(self, name, mode="r"):
        if str(name).startswith(SCHEME) and mode.startswith("w") and gfile.exists(str(name)):
            gfile.remove(str(name))
        super().__init__(name, mode)


class _TfxFileSystem(TensorflowFilesystem):
    SUPPORTED_SCHEMES = [SCHEME]  # noqa: RUF012  TFX's attribute


class _Written(io.BytesIO):
    mode = "wb"

    def __init__(self, path):
        super().__init__()
        self._path = path

    def close(self):
        if not self.closed:
            with gfile.GFile(self._path, "wb") as file:
                file.write(self.getvalue())
        super().close()


class _Read(io.BytesIO):
    mode = "rb"


class RamFileSystem(FileSystem):
    """Beam's side; Beam finds it as it finds `gs`, among the subclasses of its `FileSystem`."""

    @classmethod
    def scheme(cls):
        return "ram"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path):
        head, _, tail = path.rstrip("/").rpartition("/")
        return head, tail

    def mkdirs(self, path):
        gfile.makedirs(path)

    def has_dirs(self):
        return True

    def _list(self, dir_or_prefix):
        folder = dir_or_prefix.rstrip("/")
        if gfile.exists(folder):
            for parent, _, names in gfile.walk(folder):
                for name in names:
                    yield self.metadata(f"{parent.rstrip('/')}/{name}")

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        gfile.makedirs(str(PurePosixPath(path).parent).replace(":/", "://", 1))
        return _compressed(_Written(path), path, compression_type)

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return _compressed(_Read(RamPath(path).read_bytes()), path, compression_type)

    def copy(self, source_file_names, destination_file_names):
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            gfile.copy(source, destination, overwrite=True)

    def rename(self, source_file_names, destination_file_names):
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            gfile.rename(source, destination, overwrite=True)

    def exists(self, path):
        return gfile.exists(path)

    def size(self, path):
        return gfile.stat(path).length

    def last_updated(self, path):
        return 0

    def checksum(self, path):
        return str(self.size(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path))

    def delete(self, paths):
        for path in filter(gfile.exists, paths):
            gfile.rmtree(path) if gfile.isdir(path) else gfile.remove(path)


def _compressed(file, path, compression):
    if compression == CompressionTypes.AUTO:
        compression = CompressionTypes.detect_compression_type(path)
    if compression == CompressionTypes.UNCOMPRESSED:
        return file
    return CompressedFile(file, compression_type=compression)


@contextlib.contextmanager
def ram_bucket():
    """Let TFX know the scheme; gives the bucket's root, which lives as long as the process."""
    registry = filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY
    registry.register(_TfxFileSystem, priority=0)
    root = RamPath(f"{SCHEME}bucket/pipelines")
    with mock.patch.object(tf.io.gfile, "GFile", _GFile):
        yield root
