"""Reads and writes Examples artifacts on Beam, a shard at a time.

The driver asks the service LLM, so it needs the rows; workers decode them, write new shards, and
copy those of an earlier artifact as they are.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import apache_beam as beam
from tfx.dsl.io import fileio
from tfx.types.artifact import Artifact

from components import examples_io
from components.examples_io import Features
from core.jsonl import read_rows

_SHARD_ROWS = 10_000

_Step = TypeVar("_Step")

MakePipeline = Callable[[], beam.Pipeline]


class Split(NamedTuple):
    """What a split is to hold, in this order.

    Attributes:
        copied: Shards of an earlier artifact, taken over byte by byte.
        rows: New rows; see `examples_io.write_examples`.
    """

    copied: Sequence[str]
    rows: Sequence[Features]


class _Decoding(NamedTuple):
    shard: str
    target: str


class _Writing(NamedTuple):
    target: str
    copied: str
    rows: Sequence[Features]


def read_shards(
    make_pipeline: MakePipeline, shards: Sequence[str], scratch: str
) -> list[list[Features]]:
    """Read the rows of each shard.

    Args:
        make_pipeline: Gives a Beam pipeline.
        shards: Files of Examples artifacts; see `examples_io.shards`.
        scratch: A folder or URI that workers may write to; it is removed afterwards.
    """
    steps = [
        _Decoding(shard, os.path.join(scratch, f"{number:05}.jsonl"))
        for number, shard in enumerate(shards)
    ]
    fileio.makedirs(scratch)
    _run(make_pipeline, steps, _decode)
    found = []
    for step in steps:
        with fileio.open(step.target, "rb") as file:
            found.append(read_rows(file.read().decode(), step.target, json.loads))
    fileio.rmtree(scratch)
    return found


def write_splits(
    make_pipeline: MakePipeline, artifact: Artifact, splits: Mapping[str, Split], span: int
) -> None:
    """Write the splits of an Examples artifact and stamp its properties.

    Args:
        make_pipeline: Gives a Beam pipeline.
        artifact: The `standard_artifacts.Examples` to fill.
        splits: What goes into which split.
        span: The span to record; for synthetic data the round.

    Raises:
        UserError: A split would be empty.
    """
    examples_io.require_rows({name: len(s.copied) + len(s.rows) for name, s in splits.items()})
    steps = []
    for name, split in splits.items():
        new = [split.rows[at : at + _SHARD_ROWS] for at in range(0, len(split.rows), _SHARD_ROWS)]
        total = len(split.copied) + len(new)
        parts = [*((shard, ()) for shard in split.copied), *(("", rows) for rows in new)]
        steps += [
            _Writing(examples_io.shard_path(artifact.uri, name, number, total), copied, rows)
            for number, (copied, rows) in enumerate(parts)
        ]
    _run(make_pipeline, steps, _write)
    examples_io.stamp(artifact, list(splits), span)


def _run(
    make_pipeline: MakePipeline, steps: Sequence[_Step], step_fn: Callable[[_Step], None]
) -> None:
    with make_pipeline() as pipeline:
        # A reshuffle, or all shards would be handled by the worker that creates them.
        _ = (
            pipeline
            | "Shards" >> beam.Create(list(steps))
            | "Spread" >> beam.Reshuffle()
            | "Handle" >> beam.Map(step_fn)
        )


def _decode(step: _Decoding) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in examples_io.read_shard(step.shard))
    with fileio.open(step.target, "wb") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _write(step: _Writing) -> None:
    if not step.copied:
        examples_io.write_shard(step.target, step.rows)
        return
    fileio.makedirs(os.path.dirname(step.target))
    fileio.copy(step.copied, step.target, overwrite=True)
