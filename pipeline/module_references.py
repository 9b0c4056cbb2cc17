"""What a Python module refers to: modules by import or by dotted string, and data files.

The module is parsed and never imported, so this costs milliseconds.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path

# `package.module`, `package.module.function` or `package.module:function`.
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?")
_LOADERS = {"PackageLoader": ("templates",), "files": ()}  # with the folder they read by default


class References(ast.NodeVisitor):
    """What a module refers to.

    Args:
        file: The module.
        root: The folder that holds the top-level packages.

    Attributes:
        names: Dotted names that it imports, or has as strings.
        on_demand: Those that a package imports when it is asked for something (`__getattr__`).
        paths: Files and folders that it names from its own `__file__`.
        resources: Packages whose data it reads by name, each with folders below.
    """

    def __init__(self, file: Path, root: Path) -> None:
        source = file.read_bytes()
        self._file = file
        self._package = list(file.relative_to(root).parent.parts)
        self._names_paths = b"__file__" in source
        self._known: dict[str, Path] = {}
        self.names: set[str] = set()
        self.on_demand: set[str] = set()
        self.paths: set[Path] = set()
        self.resources: set[tuple[str, ...]] = set()
        self.visit(ast.parse(source, str(file)))

    def visit(self, node: ast.AST) -> None:
        """Take a path as a whole: what its parts are is no concern of the cache."""
        path = None
        if self._names_paths and isinstance(node, ast.expr):
            path = _path(node, self._file, self._known)
        if path:
            self.paths.add(path)
        else:
            super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Keep apart what a package imports only for those who ask it for something."""
        if node.name == "__getattr__" and node.col_offset == 0:
            at_import, self.names = self.names, self.on_demand
            self.generic_visit(node)
            self.names = at_import
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b`."""
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b`, where `b` may be a module."""
        base = self._package[: len(self._package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        self.names.update(f"{module}.{alias.name}" for alias in node.names)

    def visit_If(self, node: ast.If) -> None:
        """Leave out what is imported for type checkers only."""
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Remember the name of a path, for what is joined to it."""
        path = _path(node.value, self._file, self._known) if self._names_paths else None
        match node.targets:
            case [ast.Name(id=name)] if path:
                self._known[name] = path
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """`PackageLoader("a.b")` and `files("a.b")` read the data of a package."""
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in _LOADERS and node.args:
            package, *below = (_text(argument, self._package) for argument in node.args)
            folders = [folder for folder in below if folder] or _LOADERS[called]
            if package:
                self.names.add(package)
                self.resources.add((package, *folders))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """`"a.b.function"`, as registries name what they load."""
        if isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            self.names.add(node.value)


def _text(node: ast.expr, package: list[str]) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    is_own = isinstance(node, ast.Name) and node.id in ("__package__", "__name__")
    return ".".join(package) if is_own else ""


def _path(node: ast.expr, file: Path, known: Mapping[str, Path]) -> Path | None:
    """Return the path that an expression on `__file__` gives; None for anything else."""
    step: Callable[[Path], Path]
    match node:
        case ast.Name(id="__file__"):
            return file
        case ast.Name(id=name):
            return known.get(name)
        case ast.Call(func=ast.Name(id="Path"), args=[start]):
            step = Path
        case ast.Call(func=ast.Attribute(value=start, attr="resolve" | "absolute"), args=[]):
            step = Path
        case ast.Attribute(value=start, attr="parent"):
            step = operator.attrgetter("parent")
        case ast.Subscript(
            value=ast.Attribute(value=start, attr="parents"), slice=ast.Constant(value=int(level))
        ):
            step = lambda path: path.parents[level]  # noqa: E731
        case ast.Call(
            func=ast.Attribute(value=start, attr="with_name"), args=[ast.Constant(value=str(name))]
        ):
            step = operator.methodcaller("with_name", name)
        case ast.BinOp(left=start, op=ast.Div(), right=ast.Constant(value=str(name))):
            step = operator.methodcaller("__truediv__", name)
        case _:
            return None
    path = _path(start, file, known)
    return step(path) if path else None
