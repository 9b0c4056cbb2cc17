"""Draws mutants: `python -m tools.mutants.draw`, with mutmut and libcst on the path.

The operators are mutmut's. Places are drawn first, then one fault for each, so that a place with
many possible faults counts once. Left out are annotations, decorators, and texts of several words:
they are read by people, and other words there are no fault.
"""

import argparse
import random
from collections.abc import Iterator
from typing import NamedTuple

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tools.mutants.plan import ROOT, Mutant, digest, modules, write_plan

COUNT, SEED = 400, 28
_NO_FAULT = (libcst.Annotation, libcst.Decorator, libcst.Import, libcst.ImportFrom)


class _Place(NamedTuple):
    path: str
    line: int
    node: libcst.CSTNode
    faults: tuple[libcst.CSTNode, ...]


class _Places(libcst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.found: list[_Place] = []

    def on_visit(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, _NO_FAULT) or _is_text_for_people(node):
            return False
        faults = tuple(
            fault
            for kind, operator in mutation_operators
            if isinstance(node, kind)
            for fault in operator(node)
        )
        if faults:
            line = self.get_metadata(PositionProvider, node).start.line
            self.found.append(_Place(self._path, line, node, faults))
        return True


def _is_text_for_people(node: libcst.CSTNode) -> bool:
    if isinstance(node, libcst.SimpleString):
        return " " in node.value.strip("'\" ")
    return isinstance(node, libcst.ConcatenatedString)


def places(path: str, source: str) -> tuple[libcst.Module, list[_Place]]:
    """Return a parsed module and the places in it that can be mutated."""
    visitor = _Places(path)
    module = MetadataWrapper(libcst.parse_module(source), unsafe_skip_copy=True).visit(visitor)
    return module, visitor.found


def draw(count: int, seed: int) -> Iterator[Mutant]:
    """Draw mutants of all modules.

    Args:
        count: How many.
        seed: Seed of the draw.
    """
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in modules()}
    found = {path: places(path, source) for path, source in sources.items()}
    everything = [place for _, its_places in found.values() for place in its_places]
    rng = random.Random(seed)
    for number, place in enumerate(rng.sample(everything, count)):
        module = found[place.path][0]
        fault = rng.choice(place.faults)
        source = module.deep_replace(place.node, fault)
        assert isinstance(source, libcst.Module)
        before, after = (module.code_for_node(node).strip() for node in (place.node, fault))
        drawn = digest(sources[place.path])
        yield Mutant(number, place.path, place.line, before, after, source.code, drawn)


def main() -> None:
    """Write the plan."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    write_plan(list(draw(options.count, options.seed)))


if __name__ == "__main__":
    main()
