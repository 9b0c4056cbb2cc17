"""What each optimization of training and generation is worth, and KerasHub as it comes.

`python -m benchmarks.ablation` prints Markdown tables; it takes about five hours on two cores. Each
switch of `training.optimizations` and `generation.optimizations` is off alone, then all are;
"KerasHub as it comes" is `CausalLM.fit` and `CausalLM.generate` with the same weights, rows and
rank. Every measurement is a process of its own. A block measures each variant once, in an order
that is drawn again each time; a variant is compared with the unchanged program of its block, and
the interval is that of Student's distribution over the logarithms of the blocks' ratios.

Measurements are kept in `benchmarks/ablation_measured.jsonl`: a benchmark that was interrupted, or
stopped by `--minutes`, goes on where it was, also on another machine of the same kind. A block
that was begun before the machine was started anew is measured again as a whole. Other code in
`models`, other versions or another kind of processor start over; so does `--fresh`.
"""

import argparse
import hashlib
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import gemma as shared
from benchmarks import processes
from benchmarks.ablation_child import ALL_OFF, ALL_ON, AS_IT_COMES, write_job
from benchmarks.circumstances import circumstances
from benchmarks.student import MAX_VALUES, interval
from core.optimizations import (
    GenerationOptimizations,
    LoadingOptimizations,
    TrainingOptimizations,
)

BLOCKS = 7
KEPT = Path(__file__).with_name("ablation_measured.jsonl")
DTYPES = ("float32", "bfloat16")
WORKS: dict[str, type[LoadingOptimizations]] = {
    "training": TrainingOptimizations,
    "generation": GenerationOptimizations,
}
# What makes a switch worth its code, in percent by the upper end of an interval.
MIN_TIME, MIN_MEMORY = 3.0, 5.0
_ROOT = Path(__file__).parents[1]
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MIN_BLOCKS = 2  # of which an interval can be made


class Gain(NamedTuple):
    """How much more a variant takes than the unchanged program, in percent with a 95 % interval."""

    percent: float
    low: float
    high: float


def variants(work: str) -> list[str]:
    """Return what is measured of a kind of work, the unchanged program first."""
    return [ALL_ON, *WORKS[work].model_fields, ALL_OFF, AS_IT_COMES]


def gain(pairs: Sequence[tuple[float, float]]) -> Gain:
    """Compare paired measurements.

    Args:
        pairs: Of each block the variant's figure and that of the unchanged program.
    """
    found = interval([math.log(variant / unchanged) for variant, unchanged in pairs])
    return Gain(*(100 * math.expm1(value) for value in found))


def is_worth_it(time: Gain, with_start: Gain, memory: Gain) -> bool:
    """Return whether what is lost without a switch may be as much as it has to be."""
    return max(time.high, with_start.high) >= MIN_TIME or memory.high >= MIN_MEMORY


def schedule(work: str, dtype: str, blocks: int) -> Iterator[dict[str, Any]]:
    """Yield the measurements of a table in their order, which is the same in every run."""
    for block in range(blocks):
        order = variants(work)
        random.Random(f"{work} {dtype} {block}").shuffle(order)
        for variant in order:
            yield {"work": work, "dtype": dtype, "block": block, "variant": variant}


class Kept:
    """The measurements so far.

    Args:
        file: Where they are kept, a line each.
        identity: What they depend on; those of another one are not used.
        boot: What tells one start of the machine from the next.
    """

    def __init__(self, file: Path, identity: str, boot: str) -> None:
        self._file, self._identity, self._boot = file, identity, boot
        blocks: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        for entry in _entries(file):
            if entry["identity"] == identity:
                measured = entry["measured"]
                block = blocks.setdefault((_block(measured), entry["boot"]), {})
                block[_key(measured)] = entry["figures"]
        self._found: dict[str, dict[str, float]] = {}
        for (name, its_boot), block in blocks.items():
            is_whole = len(block) == len(variants(json.loads(name)["work"]))
            if is_whole or its_boot == boot:
                self._found |= block

    def whole_blocks(self, work: str, dtype: str, blocks: int) -> list[int]:
        """Return the numbers of the blocks of which every variant is measured."""
        missing = {m["block"] for m in schedule(work, dtype, blocks) if self.get(m) is None}
        return [block for block in range(blocks) if block not in missing]

    def get(self, measured: Mapping[str, Any]) -> dict[str, float] | None:
        """Return the figures of a measurement, if it was made."""
        return self._found.get(_key(measured))

    def add(self, measured: Mapping[str, Any], figures: dict[str, float]) -> None:
        """Keep a measurement."""
        self._found[_key(measured)] = figures
        self._file.parent.mkdir(parents=True, exist_ok=True)
        entry = {
            "identity": self._identity,
            "boot": self._boot,
            "measured": measured,
            "figures": figures,
        }
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        with self._file.open("a", encoding="utf-8") as file:
            if not text.endswith("\n") and text:  # the machine stopped within a line
                file.write("\n")
            file.write(json.dumps(entry) + "\n")


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").split("\n") if file.exists() else []:
        try:
            yield json.loads(line)
        except ValueError:
            continue  # written when the machine stopped


def _block(measured: Mapping[str, Any]) -> str:
    return _key({name: measured[name] for name in ("work", "dtype", "block")})


def _key(measured: Mapping[str, Any]) -> str:
    return json.dumps(measured, sort_keys=True)


def identity(preset: str) -> str:
    """Return what the figures depend on: code, versions and kind of machine."""
    digest = hashlib.sha256()
    measured = [
        *sorted((_ROOT / "models").rglob("*.py")),
        *sorted((_ROOT / "data" / "coverage" / "support_triage").glob("*.jsonl")),
        *(_ROOT / "core" / name for name in ("families.py", "optimizations.py")),
        *(Path(__file__).with_name(name) for name in ("ablation_child.py", "gemma.py")),
    ]
    for path in measured:
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()[:16]} {preset} {circumstances(with_date=False)}"


def boot() -> str:
    """Return what tells this start of the machine from others."""
    return hashlib.sha256(_BOOT_ID.read_bytes()).hexdigest()[:8] if _BOOT_ID.exists() else ""


def main() -> None:
    """Measure what was not measured yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    blocks = range(BLOCKS, MAX_VALUES + 1)
    parser.add_argument("--blocks", type=int, default=BLOCKS, choices=blocks, metavar="7..20")
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--preset", default=shared.PRESET)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after that many")
    parser.add_argument("--fresh", action="store_true", help="forget earlier measurements")
    arguments = parser.parse_args()
    if arguments.fresh:
        KEPT.unlink(missing_ok=True)
    kept = Kept(KEPT, identity(arguments.preset), boot())
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        write_job(job, arguments.preset)
        everything = [
            measured
            for work in arguments.works
            for dtype in arguments.dtypes
            for measured in schedule(work, dtype, arguments.blocks)
        ]
        # What is stopped early has the same number of blocks of each table.
        _measure(kept, sorted(everything, key=lambda m: int(m["block"])), job, end)
        for work in arguments.works:
            print(f"**{work.capitalize()}: how much more it takes without the switch**\n")
            print("| dtype | without | time | with the start | memory | worth it |")
            print("|---|---|---|---|---|---|")
            for dtype in arguments.dtypes:
                for line in table(kept, work, dtype, arguments.blocks):
                    print(line, flush=True)
            print()
    print(
        "Medians of the unchanged program; in brackets 95 % intervals. "
        f"Worth it: by the upper ends, at least {MIN_TIME:g} % of the time or {MIN_MEMORY:g} % "
        "of the memory beyond the imports."
    )


def _measure(kept: Kept, todo: Iterable[Mapping[str, Any]], job: Path, end: float) -> None:
    """Measure what was not measured yet, until the monotonic clock is at `end`."""
    for measured in todo:
        if kept.get(measured) is not None:
            continue
        if time.monotonic() > end:
            return
        processes.progress(f"ablation: {measured}")
        arguments = (measured["work"], measured["variant"], measured["dtype"], str(job))
        kept.add(measured, processes.ours("ablation_child", *arguments))


def table(kept: Kept, work: str, dtype: str, blocks: int) -> Iterator[str]:
    """Yield a line of the table for each variant, by the blocks that are whole."""
    whole = kept.whole_blocks(work, dtype, blocks)
    if len(whole) < _MIN_BLOCKS:
        yield f"| {dtype} | {len(whole)} of {blocks} blocks are measured | | | | |"
        return

    def figures(variant: str) -> list[dict[str, float]]:
        found = [
            kept.get({"work": work, "dtype": dtype, "block": block, "variant": variant})
            for block in whole
        ]
        return [each for each in found if each is not None]

    unchanged = figures(ALL_ON)
    names = ("seconds", "with_start", "memory_gib")
    seconds, with_start, memory = (statistics.median(f[name] for f in unchanged) for name in names)
    missing = "" if len(whole) == blocks else f"{len(whole)} of {blocks} blocks"
    start = f"{seconds:.2f} s | {with_start:.1f} s | {memory:.2f} GiB"
    yield f"| {dtype} | {ALL_ON} | {start} | {missing} |"
    for variant in variants(work)[1:]:
        found = figures(variant)
        gains = [
            gain([(f[name], u[name]) for f, u in zip(found, unchanged, strict=True)])
            for name in names
        ]
        worth = ""
        if variant in WORKS[work].model_fields and not missing:
            worth = "yes" if is_worth_it(*gains) else "**no**"
        yield f"| {dtype} | {variant} | {' | '.join(map(_cell, gains))} | {worth} |"


def _cell(value: Gain) -> str:
    return f"{value.percent:+.1f} % ({value.low:+.1f} to {value.high:+.1f})"


if __name__ == "__main__":
    main()
