"""Cache keys that follow the code, because TFX's cache does not notice that a component was edited.

The key is the content of what a component uses: the modules that it imports, those that they import
in turn, and the data files that they read. Nothing is imported to find them, and nothing is listed
by hand.
"""

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.module_references import References

REPOSITORY = Path(__file__).parent.parent
_HEX_DIGITS = 12
_GENERATED = {".pyc", ".pyo"}


class CodeGraph:
    """Knows which modules and data files of a repository a module uses; each is parsed once.

    Args:
        root: The folder that holds the top-level packages.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parsed: dict[Path, References] = {}

    def version(self, *names: str) -> str:
        """Return the first 12 hex digits of the SHA-256 over what some code uses.

        Args:
            *names: Dotted names of modules or of functions in them, and paths of data files,
                relative to the root.

        Raises:
            LookupError: There is no such module or file.
        """
        digest = hashlib.sha256()
        for file in self.files(*names):
            content = hashlib.sha256((self._root / file).read_bytes()).hexdigest()
            digest.update(f"{file}\0{content}\n".encode())
        return digest.hexdigest()[:_HEX_DIGITS]

    def files(self, *names: str) -> list[str]:
        """Return the files that some code uses, sorted and relative to the root.

        Args:
            *names: See `version`.

        Raises:
            LookupError: See `version`.
        """
        waiting = [file for name in names for file in self._root_files(name)]
        found: set[Path] = set()
        while waiting:
            file = waiting.pop()
            if file not in found:
                found.add(file)
                waiting += self._used_by(file) if file.suffix == ".py" else ()
        return sorted(file.relative_to(self._root).as_posix() for file in found)

    def _root_files(self, name: str) -> list[Path]:
        if (self._root / name).is_file():
            return [self._root / name]
        if not (files := self._modules(name)):
            raise LookupError(f"There is no module and no file {name!r} in {self._root}.")
        return files

    def _modules(self, name: str) -> list[Path]:
        """Return the files that importing a dotted name runs; none outside this repository."""
        files, is_within_package = self._import(name)
        if files and is_within_package:
            # Not a module but something in a package, which may have to import it first.
            for other in self._parse(files[-1]).on_demand:
                files += self._import(other)[0]
        return files

    def _import(self, name: str) -> tuple[list[Path], bool]:
        """Return the files of a name's packages and module, and whether no module was found.

        What follows a module's name is something in it.
        """
        files, folder = [], self._root
        for part in re.split("[.:]", name):
            module, package = folder / f"{part}.py", folder / part / "__init__.py"
            if package.is_file():
                files.append(package)
            elif module.is_file():
                return [*files, module], False
            elif not (folder / part).is_dir():
                return files, True
            folder = folder / part
        return files, False

    def _used_by(self, file: Path) -> Iterator[Path]:
        used = self._parse(file)
        for name in used.names:
            yield from self._modules(name)
        for package, *below in used.resources:
            yield from self._data_files(file, self._root.joinpath(*package.split("."), *below))
        for path in used.paths:
            yield from self._data_files(file, path)

    def _parse(self, file: Path) -> References:
        if file not in self._parsed:
            self._parsed[file] = References(file, self._root)
        return self._parsed[file]

    def _data_files(self, reader: Path, path: Path) -> Iterator[Path]:
        if path in (reader, self._root):
            return  # where other paths start
        # Modules next to the reader count where they are imported.
        is_own = path in reader.parents
        for file in path.rglob("*") if path.is_dir() else [path]:
            is_code = file.suffix in _GENERATED or (is_own and file.suffix == ".py")
            if file.is_file() and not is_code:
                yield file


@functools.cache
def code_version(*names: str) -> str:
    """Return the version of what some code of this repository uses; see `CodeGraph.version`.

    Example:
        `code_version("components.trainer.component", "models.training.run_fn.run_fn")`
    """
    return _repository().version(*names)


@functools.cache
def _repository() -> CodeGraph:
    return CodeGraph(REPOSITORY)
