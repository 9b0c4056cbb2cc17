"""Plants the drawn faults one after the other: `python -m tools.mutants`; see the package."""

import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.mutants.nearest_tests import Tests
from tools.mutants.plan import (
    FOLDER,
    PARTS,
    ROOT,
    Baseline,
    Mutant,
    Outcome,
    Result,
    add_result,
    changed_modules,
    digest,
    read_baseline,
    read_plan,
    read_results,
    statement,
    write_baseline,
)

# Of the files of tests that run the line, the nearest come first; where none of them notices, those
# after them run, too. These are seconds of the processor.
_NEAREST_SECONDS, _MAX_SECONDS, _MAX_FILES = 5.0, 40.0, 60
_LONGEST_FILE_SECONDS = 20.0
# These are of the clock, where others may use the machine.
_MIN_LIMIT_SECONDS, _TIMES_LONGER, _LONGEST_BASELINE_SECONDS = 60.0, 15, 240.0
_KEPT = threading.Lock()  # of the files that several runners write


class Runner:
    """Runs tests on a copy of the repository, in which one file at a time is another.

    Args:
        tree: Folder of the copy; it is made again.
    """

    def __init__(self, tree: Path) -> None:
        _copy_repository(tree)
        self._tree = tree
        self._tests = Tests(tree)
        self._usual: dict[str, Baseline] = {}
        paths = sorted(path for part in PARTS for path in (tree / part).rglob("*.py"))
        self._modules = digest("".join(path.read_text(encoding="utf-8") for path in paths))
        self._lines = tree.with_name(f"{tree.name}-lines.json")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tools.mutants.server"],
            cwd=tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._written = 0

    def close(self) -> None:
        """End the process that runs the tests."""
        if self._server.stdin:
            self._server.stdin.close()
        self._server.wait()

    def try_mutant(self, mutant: Mutant) -> Result:
        """Plant a fault, run the tests, and take it out again."""
        begin = time.monotonic()
        outcome: Outcome = "survived"
        count = 0
        for files, usual in self._groups(mutant):
            count += len(files)
            file = self._tree / mutant.path
            whole = file.read_bytes()
            try:
                self._write(file, mutant.source.encode())
                limit = max(_MIN_LIMIT_SECONDS, _TIMES_LONGER * usual)
                status, _ = self._run(files, limit, None)
            finally:
                self._write(file, whole)
            outcome = "survived" if status == 0 else "killed"
            if status is None:
                outcome = "killed by time"
            if outcome != "survived":
                break
        return Result(mutant.number, outcome, count, round(time.monotonic() - begin, 1))

    def measure(self, files: Iterable[str]) -> None:
        """Run files of tests without a fault, those that were not run before."""
        for file in files:
            if self._known(file) is None:
                self._usual[file] = self._measured(file)

    def nearest(self, module: str) -> list[str]:
        """Return the files of tests that are measured for the sake of a module."""
        return self._tests.nearest(module)[:_MAX_FILES]

    def _groups(self, mutant: Mutant) -> Iterator[tuple[list[str], float]]:
        """Yield files of tests that run together, and their seconds without a fault."""
        self.measure(self.nearest(mutant.path))
        files: list[str] = []
        seconds = total = 0.0
        lines = statement((self._tree / mutant.path).read_text(encoding="utf-8"), mutant.line)
        for file in self._tests.nearest(mutant.path):
            usual = self._known(file)
            if usual is None or usual.seconds is None or not usual.runs(mutant.path, lines):
                continue
            files.append(file)
            seconds += usual.seconds
            total += usual.seconds
            if seconds > _NEAREST_SECONDS:
                yield files, seconds
                files, seconds = [], 0.0
            if total > _MAX_SECONDS:
                break
        if files:
            yield files, seconds

    def _known(self, file: str) -> Baseline | None:
        """Return what was measured of a file of tests, by this runner or another."""
        if file not in self._usual and (found := read_baseline(file, self._digest(file))):
            self._usual[file] = found
        return self._usual.get(file)

    def _digest(self, file: str) -> str:
        return digest(self._modules + (self._tree / file).read_text(encoding="utf-8"))

    def _measured(self, file: str) -> Baseline:
        self._lines.unlink(missing_ok=True)
        status, seconds = self._run([file], _LONGEST_BASELINE_SECONDS, str(self._lines))
        is_fit = status == 0 and seconds <= _LONGEST_FILE_SECONDS and self._lines.exists()
        if not is_fit:
            _say(f"left out, with status {status} after {seconds} s: {file}")
        lines = json.loads(self._lines.read_text(encoding="utf-8")) if is_fit else {}
        found = Baseline(seconds if is_fit else None, lines, self._digest(file))
        write_baseline(file, found)
        return found

    def _run(self, files: list[str], seconds: float, lines: str | None) -> tuple[int | None, float]:
        """Return pytest's exit status, None where time was up, and the processor's seconds."""
        assert self._server.stdin
        assert self._server.stdout
        order = {"tests": files, "seconds": seconds, "lines": lines, "parts": PARTS}
        self._server.stdin.write(json.dumps(order) + "\n")
        answer = json.loads(self._server.stdout.readline())
        return answer["status"], answer["seconds"]

    def _write(self, file: Path, data: bytes) -> None:
        file.write_bytes(data)
        # Byte code is known by its source's time and size: every version has another time.
        self._written += 1
        os.utime(file, (self._written, self._written))


def try_all(runner: Runner, mutants: Iterable[Mutant], end: float) -> None:
    """Try mutants until the monotonic clock is at `end`."""
    for mutant in mutants:
        if time.monotonic() > end:
            break
        result = runner.try_mutant(mutant)
        with _KEPT:
            add_result(result)
        place = f"{mutant.path}:{mutant.line}"
        _say(f"{mutant.number:3} {result.outcome:14} {result.seconds:5.1f} s  {place}")


def _copy_repository(tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    # Converted models are shared; what else tests keep there names the folder that it was made in.
    (ROOT / ".cache" / "presets").mkdir(parents=True, exist_ok=True)
    (tree / ".cache").mkdir()
    (tree / ".cache" / "presets").symlink_to(ROOT / ".cache" / "presets")
    (tree / ".venv").symlink_to(Path(sys.prefix))


def main() -> None:
    """Try every mutant of the plan that has no result yet.

    Raises:
        SystemExit: Modules have changed since the plan was drawn.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after that many")
    parser.add_argument("--runners", type=int, default=os.cpu_count() or 1, help="at the same time")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    mutants, done = read_plan(), read_results()
    if changed := changed_modules(mutants):
        raise SystemExit(
            f"Changed since the faults were drawn: {', '.join(changed)}. Remove "
            f"{FOLDER.relative_to(ROOT)} to draw again; results of the old modules go with it."
        )
    left = [mutant for mutant in mutants if mutant.number not in done]
    count = options.runners
    runners = [Runner(FOLDER / f"tree-{n}") for n in range(count)]
    files = sorted({file for mutant in left for file in runners[0].nearest(mutant.path)})
    try:
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            list(pool.map(Runner.measure, runners, [files[n::count] for n in range(count)]))
            parts = [left[n::count] for n in range(count)]
            list(pool.map(try_all, runners, parts, [end] * count))
    finally:
        for runner in runners:
            runner.close()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
