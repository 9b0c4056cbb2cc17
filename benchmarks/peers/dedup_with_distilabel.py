"""distilabel's MinHash step on texts; prints one line of JSON.

Usage: python dedup_with_distilabel.py TEXTS.json THRESHOLD

The seconds are those of loading and running the step, without imports and without reading texts.
"""

import json
import sys
import time

from distilabel.steps import MinHashDedup


def main() -> None:
    """Run the step as its documentation shows, with the n-grams that this repository compares."""
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = [{"text": text} for text in json.load(file)]
    step = MinHashDedup(tokenizer="ngrams", n=5, threshold=float(sys.argv[2]), storage="dict")
    started = time.perf_counter()
    step.load()
    kept = [
        row["keep_row_after_minhash_filtering"] for batch in step.process(rows) for row in batch
    ]
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "kept": kept}))


if __name__ == "__main__":
    main()
