"""Holds the share of `Any` in annotations below each room's limit: `python -m tools.any_share`.

The limits, in percent of all annotations, are in pyproject.toml under `tool.understudy.any`.
"""

import ast
import functools
import sys
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def main() -> int:
    """Print the rooms that exceed their limit; return the exit status."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    exceeded = []
    for room, limit in settings["tool"]["understudy"]["any"].items():
        share = any_share(ROOT / room)
        if share > limit:
            exceeded.append(f"{room}: {share:.1f} % of the annotations are Any, at most {limit} %")
    print("\n".join(exceeded) or "Any: every room is within its limit")  # noqa: T201
    return bool(exceeded)


def any_share(folder: Path) -> float:
    """Return how many annotations below a folder contain `Any` or an alias of it, in percent."""
    found = [
        _names(annotation, any_names(path))
        for path in sorted(folder.rglob("*.py"))
        for annotation in annotations(_tree(path))
    ]
    return 100 * sum(found) / max(1, len(found))


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the annotations of parameters, results and variables."""
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS) and node.returns:
            yield node.returns
        annotation = getattr(node, "annotation", None)  # of an ast.arg or ast.AnnAssign
        if annotation is not None:
            yield annotation


@functools.cache
def any_names(path: Path) -> frozenset[str]:
    """Return the names that contain `Any` in a module: itself, and aliases here and imported."""
    names = {"Any"}
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= _imported(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if _is_type(node.value) and _names(node.value, names):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(names)


def _imported(node: ast.ImportFrom) -> set[str]:
    """Return the aliases that an import brings, by name or as attribute of a module."""
    found = set()
    for alias in node.names:
        name = alias.asname or alias.name
        parent = str(node.module)
        if alias.name in _names_of_module(parent):
            found.add(name)
        of_module = _names_of_module(f"{parent}.{alias.name}") - {"Any"}
        found |= {f"{name}.{inner}" for inner in of_module}
    return found


def _names_of_module(module: str) -> frozenset[str]:
    file = (ROOT / module.replace(".", "/")).with_suffix(".py")
    return any_names(file) if file.is_file() else frozenset()


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_type(value: ast.expr) -> bool:
    """Return whether an assigned value may be a type: `dict[str, Any]`, not a call or a text."""
    return not isinstance(value, ast.Call | ast.Constant | ast.Dict | ast.List)


def _names(annotation: ast.expr, names: Collection[str]) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    return any(
        getattr(node, "id", getattr(node, "attr", "")) == "Any" or ast.unparse(node) in names
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )


if __name__ == "__main__":
    sys.exit(main())
