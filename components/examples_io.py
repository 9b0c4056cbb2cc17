"""Reads and writes Examples artifacts as plain rows; the callers know what the rows mean.

TensorFlow is imported where it is used, so importing this module costs nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from core.errors import UserError
from core.records import COVERAGE_SPLITS, LOOP_SPLITS, TEST_SPLIT, CoverageRow

if TYPE_CHECKING:
    import tensorflow as tf
    from tfx.types.artifact import Artifact

Feature: TypeAlias = str | int | float | list[str] | list[int] | list[float] | None
Features: TypeAlias = Mapping[str, Feature]

_BATCH = 1024  # records fetched at once; one at a time costs 40 times as long


def read_examples(uri: str, split: str) -> list[Features]:
    """Read one split of an Examples artifact.

    Args:
        uri: The artifact's URI, local or `gs://`.
        split: Name of the split, without `Split-`.

    Returns:
        One dict per tf.Example: bytes as text, numbers as they are, a feature without values as
        None, a feature with several values as a list.

    Raises:
        UserError: The split does not exist or holds no file.
    """
    return [row for shard in shards(uri, split) for row in read_shard(shard)]


def has_split(uri: str, split: str) -> bool:
    """Whether an Examples artifact has a split, be it without rows."""
    import tensorflow as tf

    return bool(tf.io.gfile.glob(os.path.join(uri, f"Split-{split}", "*")))


def coverage_splits(uri: str) -> tuple[str, ...]:
    """Return the splits of coverage Examples; those of earlier versions have no `test`."""
    return COVERAGE_SPLITS if has_split(uri, TEST_SPLIT) else LOOP_SPLITS


def shards(uri: str, split: str) -> list[str]:
    """List the files of one split of an Examples artifact, in order.

    Raises:
        UserError: The split does not exist or holds no file.
    """
    import tensorflow as tf

    pattern = os.path.join(uri, f"Split-{split}", "*")
    files = sorted(tf.io.gfile.glob(pattern))
    if not files:
        raise UserError(
            f"No examples at {pattern!r}. Check the URI, and that the run which wrote it finished."
        )
    return files


def read_shard(path: str) -> list[Features]:
    """Read the rows of one file; see `read_examples`."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(path, compression_type="GZIP").batch(_BATCH)
    return [
        _row(tf.train.Example.FromString(record))
        for batch in records.as_numpy_iterator()
        for record in batch
    ]


def write_examples(
    artifact: "Artifact", rows_by_split: Mapping[str, Sequence[Features]], span: int
) -> None:
    """Write rows under an Examples artifact's URI and stamp its properties.

    Args:
        artifact: The `standard_artifacts.Examples` to fill.
        rows_by_split: Rows by split name. Values are str, int, float or None (left out).
        span: The span to record; for synthetic data the round.

    Raises:
        UserError: A split has no row; Transform cannot read an empty split.
    """
    require_rows({split: len(rows) for split, rows in rows_by_split.items()})
    for split, rows in rows_by_split.items():
        write_shard(shard_path(artifact.uri, split, 0, 1), rows)
    stamp(artifact, list(rows_by_split), span)


def require_rows(counts: Mapping[str, int]) -> None:
    """Raise UserError where a split has no row; Transform cannot read an empty split."""
    empty = [split for split, count in counts.items() if not count]
    if empty or not counts:
        raise UserError(
            f"No rows for split {', '.join(empty) or '(none given)'}: an empty split cannot be"
            " trained on. Provide at least one row for each split."
        )


def shard_path(uri: str, split: str, number: int, shards: int) -> str:
    """Return the path of file `number` of `shards` of a split."""
    return os.path.join(uri, f"Split-{split}", f"data_tfrecord-{number:05}-of-{shards:05}.gz")


def write_shard(path: str, rows: Iterable[Features]) -> None:
    """Write rows as one file; see `write_examples`."""
    import tensorflow as tf

    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for serialized in serialize(rows):
            writer.write(serialized)


def stamp(artifact: "Artifact", splits: Sequence[str], span: int) -> None:
    """Set the properties by which TFX reads an Examples artifact."""
    from tfx.types import artifact_utils

    artifact.split_names = artifact_utils.encode_split_names(list(splits))
    artifact.span = span
    artifact.version = 0
    # TFX's span resolvers and tfx_bsl's readers look at the custom properties, not the typed ones.
    artifact.set_int_custom_property("span", span)
    artifact.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    artifact.set_string_custom_property("file_format", "tfrecords_gzip")


def serialize(rows: Iterable[Features]) -> Iterator[bytes]:
    """Serialize rows as tf.Examples, one value per feature."""
    import tensorflow as tf

    for row in rows:
        example = tf.train.Example()
        for name, value in row.items():
            feature = example.features.feature[name]
            if value is None:
                continue
            if isinstance(value, str):
                feature.bytes_list.value.append(value.encode())
            elif isinstance(value, int):
                feature.int64_list.value.append(value)
            elif isinstance(value, float):
                feature.float_list.value.append(value)
            else:
                raise TypeError(f"Feature {name!r} is a {type(value).__name__}, not str or number.")
        yield example.SerializeToString(deterministic=True)


def read_coverage(uri: str, splits: Sequence[str] | None = None) -> list[CoverageRow]:
    """Read the rows of a coverage Examples artifact, split by split; by default of all it has.

    Raises:
        UserError: A split does not exist.
    """
    return [
        coverage_row(row, split)
        for split in splits or coverage_splits(uri)
        for row in read_examples(uri, split)
    ]


def coverage_row(features: Features, split: str) -> CoverageRow:
    """Return the coverage row in a tf.Example of the coverage Examples."""
    return CoverageRow(
        id=str(features["id"]),
        prompt=str(features["prompt"]),
        output=str(features["output"]),
        split=split,
        tags=tuple(json.loads(str(features.get("tags") or "[]"))),
        references=tuple(json.loads(str(features.get("references") or "[]"))),
    )


def _row(example: "tf.train.Example") -> Features:
    row: dict[str, Feature] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        if kind == "bytes_list":
            values = [value.decode() for value in values]
        row[name] = values[0] if len(values) == 1 else (values or None)
    return row
