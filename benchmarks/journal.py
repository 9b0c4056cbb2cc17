"""How long a large journal takes to open, and how much memory: `python -m benchmarks.journal`.

A run opens its journal in each component that asks a service. Replies are of 100 to 4,000
characters; a tenth of the lines are damaged or no answers.
"""

import hashlib
import random
import resource
import tempfile
import time
from pathlib import Path

from service_llm.journal.journal import Entry, Journal
from service_llm.types import Finish, Reply

_BYTES = 1_000_000_000
_SIZES = (0.1, 1.0)


def write(file: Path, size: int) -> int:
    """Write a segment of a journal; return how many answers it holds."""
    rng = random.Random(1)
    words = " ".join(str(rng.random()) for _ in range(250))
    written = answers = number = 0
    with file.open("wb") as stream:
        while written < size:
            number += 1
            text = words[: rng.randrange(100, 4_000)]
            key = hashlib.sha256(str(number).encode()).hexdigest()
            reply = Reply(text, Finish.STOP, 400, 100, "model-1")
            fate = rng.random()
            error = "bad_output" if fate < 0.05 else None
            line = Entry(key, "openai/m", "SynthDataGen", 1, reply, error, 0.001, at=1e9).to_line()
            if fate > 0.95:
                line = line[: len(line) // 2] + b"\n"
            answers += error is None and fate <= 0.95
            written += stream.write(line)
    return answers


def main() -> None:
    """Print a row for each size."""
    print("| journal | answers | opened in | memory for each answer |")
    print("|---|---|---|---|")
    for share in _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "00000000000000000001-a.jsonl")
            answers = write(file, int(share * _BYTES))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begin = time.perf_counter()
            journal = Journal(folder)
            seconds = time.perf_counter() - begin
            grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            key = hashlib.sha256(b"2").hexdigest()
            assert journal.answer(key) is not None, "what was written is found"
            journal.close()
        print(f"| {share:g} GB | {answers:,} | {seconds:.1f} s | {grown / answers:,.0f} bytes |")


if __name__ == "__main__":
    main()
