"""What is drawn, what became of it, and where both are kept."""

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.whole_file import replace_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "output" / "mutants"
PLAN, RESULTS = FOLDER / "plan.jsonl", FOLDER / "results.jsonl"
BASELINES = FOLDER / "baselines"

# What is mutated, and what of it is left out.
PARTS = (
    "core",
    "task",
    "service_llm",
    "judging",
    "components/synth_data_gen/filters",
    "serving",
)
# The drill breaks a gateway for minutes; its own tests are the longest of all.
_LEFT_OUT = ("serving/drill/",)

Outcome = Literal["killed", "killed by time", "survived"]


class Mutant(NamedTuple):
    """A module with one fault.

    Attributes:
        number: Place in the plan, from 0.
        path: Of the module, from the repository's root.
        line: Where the fault is.
        before: The code there, without the fault.
        after: The same with it.
        source: The whole module with the fault.
        digest: Of the module without it, when it was drawn; see `digest`.
    """

    number: int
    path: str
    line: int
    before: str
    after: str
    source: str
    digest: str = ""


class Result(NamedTuple):
    """What became of a mutant.

    Attributes:
        number: See `Mutant`.
        outcome: Whether tests failed.
        tests: How many files of tests ran at most; 0 where none runs the line.
        seconds: How long that took.
    """

    number: int
    outcome: Outcome
    tests: int
    seconds: float


class Baseline(NamedTuple):
    """What a file of tests does without a fault.

    Attributes:
        seconds: Of the processor; None where it is left out: it fails, or takes too long.
        lines: Which lines of which modules it runs, by path from the root.
        digest: Of the tests and the modules, as they were then.
    """

    seconds: float | None
    lines: Mapping[str, Sequence[int]]
    digest: str

    def runs(self, path: str, lines: range) -> bool:
        """Whether it runs any of some lines of a module."""
        return any(line in lines for line in self.lines.get(path, ()))


def statement(source: str, line: int) -> range:
    """Return the lines of the statement that is at a line, without those of its body.

    Coverage knows the lines that have code of their own, and a statement may have several.
    """
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        body = getattr(node, "body", None)
        end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
        if node.lineno <= line < max(end, node.lineno + 1):
            found = range(node.lineno, max(end, node.lineno + 1))
    return found


def modules() -> list[str]:
    """Return the modules that faults are planted in, as paths from the root."""
    found = (path for part in PARTS for path in (ROOT / part).rglob("*.py"))
    names = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return [name for name in names if not name.startswith(_LEFT_OUT)]


def digest(source: str) -> str:
    """Return what tells a module from an edited one."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def changed_modules(mutants: Iterable[Mutant]) -> list[str]:
    """Return the modules that are no longer as they were when their mutants were drawn."""
    drawn = {(mutant.path, mutant.digest) for mutant in mutants}
    return sorted({path for path, value in drawn if not _is_as_drawn(ROOT / path, value)})


def _is_as_drawn(file: Path, value: str) -> bool:
    return file.is_file() and digest(file.read_text(encoding="utf-8")) == value


def write_plan(mutants: Sequence[Mutant]) -> None:
    """Keep what was drawn, and no results of what was drawn before."""
    RESULTS.unlink(missing_ok=True)
    replace_file(PLAN, "".join(json.dumps(mutant._asdict()) + "\n" for mutant in mutants))


def read_plan() -> list[Mutant]:
    """Return what was drawn."""
    return [Mutant(**row) for row in _rows(PLAN)]


def read_results() -> dict[int, Result]:
    """Return what is known by now, by the mutant's number."""
    return {row["number"]: Result(**row) for row in _rows(RESULTS)}


def add_result(result: Result) -> None:
    """Keep one more result."""
    with RESULTS.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # the run before ended within a line
                stream.write(b"\n")
        stream.write(json.dumps(result._asdict()).encode() + b"\n")


def read_baseline(tests: str, digest: str) -> Baseline | None:
    """Return what a file of tests does without a fault; None where that is not known yet.

    Args:
        tests: Path of the file from the root.
        digest: Of the tests and the modules as they are now.
    """
    file = _baseline_file(tests)
    if not file.exists():
        return None
    found = Baseline(**json.loads(file.read_text(encoding="utf-8")))
    return found if found.digest == digest else None


def write_baseline(tests: str, baseline: Baseline) -> None:
    """Keep what a file of tests does without a fault."""
    BASELINES.mkdir(parents=True, exist_ok=True)
    replace_file(_baseline_file(tests), json.dumps(baseline._asdict()))


def _baseline_file(tests: str) -> Path:
    return BASELINES / f"{tests.replace('/', '.')}.json"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # cut off when a run ended
            yield row
