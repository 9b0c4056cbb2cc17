"""Generation's logits with packed output weights, and with weights in their stored layout.

`python -m benchmarks.output_head` prints a Markdown table; it takes about a minute and 9 GiB. The
weights are random, in the sizes of Gemma's embeddings; both ways take turns in one process, and
each figure is the median of the turns.
`models.tensorflow_patches.packed_output_table.is_worth_packing` decides by it.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import processes

_ROWS = 8
_TURNS = 15
SIZES = {"Gemma 3 270M": (262_144, 640), "Gemma 3 1B": (262_144, 1152), "Gemma 2B": (256_000, 2048)}


def main() -> None:
    """Measures and prints the table."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(processes.THREADS)
    print("| model | dtype | packed, ms | stored, ms | ratio |\n|---|---|---|---|---|")
    for dtype in ("float32", "bfloat16"):
        for name, (pieces, hidden) in SIZES.items():
            processes.progress(f"output_head, {name}, {dtype}")
            packed, plain = measure(pieces, hidden, dtype)
            print(
                f"| {name} | {dtype} | {1000 * packed:.1f} | {1000 * plain:.1f} | "
                f"{packed / plain:.2f} |",
                flush=True,
            )


def measure(pieces: int, hidden: int, dtype: str) -> tuple[float, float]:
    """Seconds for the likeliest tokens of some rows, with packed weights and with plain ones.

    Raises:
        SystemExit: Their logits differ.
    """
    import keras_hub
    import numpy as np
    import tensorflow as tf

    from models.tensorflow_patches.packed_output_table import (
        packed_logits,
        packed_table,
        untranspose_output_head,
    )

    embedding = keras_hub.layers.ReversibleEmbedding(pieces, hidden, dtype=dtype)
    embedding.build((None, None))
    untranspose_output_head(embedding)
    rows = tf.cast(np.random.default_rng(0).normal(size=(_ROWS, hidden)), dtype)
    table = packed_table(embedding)

    def packed(rows: Any, table: Any) -> Any:
        return packed_logits(embedding, rows, table)

    def plain(rows: Any, _: Any) -> Any:
        return embedding(rows[:, None], reverse=True)[:, 0]

    found, expected = (tf.cast(way(rows, table), "float32") for way in (packed, plain))
    if not np.allclose(found, expected, rtol=0.02, atol=0.02):
        raise SystemExit(f"The logits of {pieces} pieces in {dtype} differ.")
    ways = [_likeliest(way) for way in (packed, plain)]
    seconds: list[list[float]] = [[], []]
    for turn in range(1 + _TURNS):
        for way, taken in zip(ways, seconds, strict=True):
            started = time.perf_counter()
            way(rows, table).numpy()
            if turn:  # the first one traces
                taken.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _likeliest(logits: Callable[[Any, Any], Any]) -> Any:
    import tensorflow as tf

    return tf.function(lambda rows, table: tf.argmax(logits(rows, table), -1), autograph=False)


if __name__ == "__main__":
    main()
