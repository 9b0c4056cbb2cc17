"""Holds the share of `Any` in annotations below each room's limit: `python -m tools.any_share`.

The limits, in percent of all annotations, are in pyproject.toml under `tool.understudy.any`.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
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
    """Return how many annotations below a folder contain `Any`, in percent."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py")))
    found = [_has_any(annotation) for tree in trees for annotation in annotations(tree)]
    return 100 * sum(found) / max(1, len(found))


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the annotations of parameters, results and variables."""
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS) and node.returns:
            yield node.returns
        annotation = getattr(node, "annotation", None)  # of an ast.arg or ast.AnnAssign
        if annotation is not None:
            yield annotation


def _has_any(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    names = (getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(annotation))
    return "Any" in names


if __name__ == "__main__":
    sys.exit(main())
