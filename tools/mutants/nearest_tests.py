"""Finds the files of tests that are nearest to a module."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

# Tests of these take minutes, or start programs of their own.
_LEFT_OUT = ("tests/models/", "tests/notebooks/", "tests/deploy/", "tests/serving/drill/")
_SLOW = "pytestmark = pytest.mark.slow"
_MAX_DISTANCE = 3


def _module_name(path: Path) -> str:
    return path.with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")


class Tests:
    """The tests of a repository.

    Args:
        root: Its folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules = {
            _module_name(path.relative_to(root)): path
            for folder in root.iterdir()
            if (folder / "__init__.py").is_file()
            for path in folder.rglob("*.py")
        }
        files = [path for path in (root / "tests").rglob("test_*.py") if self._is_fast(path)]
        self._files = sorted(files)

    def nearest(self, module: str) -> list[str]:
        """Return files of tests, the nearest first.

        Nearest are those that are named after the module, then those that import it, then those
        that import what imports it, and so on; before others of the same
        distance those in the folder that mirrors the package, and the short ones.

        Args:
            module: Path of the module, from the root.
        """
        name = _module_name(Path(module))
        package, _, stem = name.rpartition(".")
        mirror = self._root / "tests" / package.partition(".")[0]
        distances = self._distances(name)
        ranked = []
        for file in self._files:
            imported = self._imports(file)
            for path in (*self._fixtures(file), *self._helpers(file)):
                imported |= self._imports(path)
            near = [distances[other] for other in imported if other in distances]
            is_mirrored = file.is_relative_to(mirror)
            if is_mirrored and file.stem == f"test_{stem}":
                near.append(-1)
            if is_mirrored and not near:  # what is loaded by its name alone is imported nowhere
                near.append(_MAX_DISTANCE + 1)
            if near:
                ranked.append((min(near), not is_mirrored, file.stat().st_size, file))
        return [file.relative_to(self._root).as_posix() for *_, file in sorted(ranked)]

    def _distances(self, name: str) -> dict[str, int]:
        """Count the imports between modules and one of them."""
        found, distance = {name: 0}, 0
        while distance < _MAX_DISTANCE:
            last = {n for n, d in found.items() if d == distance}
            distance += 1
            new = {
                n for n, p in self._modules.items() if n not in found and last & self._imports(p)
            }
            found |= dict.fromkeys(new, distance)
        return found

    def _is_fast(self, path: Path) -> bool:
        is_left_out = path.relative_to(self._root).as_posix().startswith(_LEFT_OUT)
        return not is_left_out and _SLOW not in path.read_text(encoding="utf-8")

    def _fixtures(self, file: Path) -> Iterator[Path]:
        for folder in file.parents:
            if folder == self._root:
                return
            if (folder / "conftest.py").is_file():
                yield folder / "conftest.py"

    def _helpers(self, file: Path) -> Iterator[Path]:
        for name in self._imports(file):
            path = self._root / f"{name.replace('.', '/')}.py"
            if name.startswith("tests.") and path.is_file():
                yield path

    @functools.cache  # noqa: B019 - lives as long as the program
    def _imports(self, path: Path) -> frozenset[str]:
        """Return the modules that a file imports, at its top or in a function."""
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                # A package, or a module of it.
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return frozenset(found)
