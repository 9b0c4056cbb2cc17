from pathlib import Path

import apache_beam as beam
import pytest
from tfx.types.standard_artifacts import Examples

from components import examples_beam
from components.examples_beam import Split, read_shards, write_splits
from components.examples_io import read_examples, shards
from core.errors import UserError
from pipeline.pipeline import LOCAL_BEAM_ARGS

ODD = ["a\nb\r\nc\rd", "\u2028\u2029\x85\x0b\x0c", "\0", "", "«ß» 😀", "{}"]


def make_pipeline():
    return beam.Pipeline(argv=list(LOCAL_BEAM_ARGS))


@pytest.fixture
def make_examples(tmp_path):
    def make(name):
        artifact = Examples()
        artifact.uri = str(tmp_path / name)
        return artifact

    return make


def test_rows_come_back_shard_by_shard_in_their_order(make_examples, monkeypatch, tmp_path):
    monkeypatch.setattr(examples_beam, "_SHARD_ROWS", 4)
    rows = [{"text": text, "number": number} for number, text in enumerate(ODD)]
    artifact = make_examples("first")
    write_splits(
        make_pipeline, artifact, {"train": Split((), rows), "eval": Split((), rows[:1])}, 3
    )
    assert artifact.span == 3
    assert [Path(shard).name for shard in shards(artifact.uri, "train")] == [
        "data_tfrecord-00000-of-00002.gz",
        "data_tfrecord-00001-of-00002.gz",
    ]
    found = read_shards(make_pipeline, shards(artifact.uri, "train"), str(tmp_path / "scratch"))
    assert found == [rows[:4], rows[4:]]
    assert not (tmp_path / "scratch").exists()
    assert read_examples(artifact.uri, "train") == rows, "and by every other reader"


def test_shards_of_an_earlier_artifact_come_first_and_unchanged(make_examples):
    first, second = make_examples("first"), make_examples("second")
    write_splits(make_pipeline, first, {"train": Split((), [{"n": 1}, {"n": 2}])}, 1)
    earlier = shards(first.uri, "train")
    write_splits(make_pipeline, second, {"train": Split(earlier, [{"n": 3}])}, 2)
    assert read_examples(second.uri, "train") == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert Path(shards(second.uri, "train")[0]).read_bytes() == Path(earlier[0]).read_bytes()


def test_a_split_without_rows_is_refused(make_examples):
    splits = {"train": Split((), [{"n": 1}]), "eval": Split((), [])}
    with pytest.raises(UserError, match="No rows for split eval"):
        write_splits(make_pipeline, make_examples("first"), splits, 1)


@pytest.mark.parametrize("is_copied", [True, False], ids=["copied", "written"])
def test_a_bundle_that_is_tried_again_replaces_what_it_left(make_examples, tmp_path, is_copied):
    """Beam repeats a bundle whose worker was lost after it had written half of a file."""
    first = make_examples("first")
    write_splits(make_pipeline, first, {"train": Split((), [{"n": 1}])}, 1)
    (shard,) = shards(first.uri, "train")
    target = tmp_path / "second" / "Split-train" / Path(shard).name
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half of a file")
    step = examples_beam._Writing(str(target), shard if is_copied else "", [{"n": 1}])
    for _ in range(2):
        examples_beam._write(step)
        assert read_examples(str(tmp_path / "second"), "train") == [{"n": 1}]
