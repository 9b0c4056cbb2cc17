"""Ways in: a registry of the shapes that pairs come in, one entry per shape."""

from task.importers.reading import Imported, read_pairs
from task.importers.registry import SHAPES, shape_named
from task.importers.shape import Pair, Shape

__all__ = ["SHAPES", "Imported", "Pair", "Shape", "read_pairs", "shape_named"]
