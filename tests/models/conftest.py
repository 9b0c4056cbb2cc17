import pathlib

import pytest

from models import gemma, gguf
from tests.models.tuning import PRESET, tune

CACHE_DIR = pathlib.Path(__file__).parents[2] / ".cache"  # of `make run`: one conversion for both


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """A cache folder that the random two-layer Gemma is made in once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_preset(tiny_cache):
    """A folder with the random two-layer Gemma."""
    return gemma.resolve_preset(PRESET, tiny_cache)


@pytest.fixture
def tiny(tiny_preset):
    """A fresh copy of the random two-layer Gemma, which a test may train."""
    return gemma.load_model(tiny_preset, "float32")


@pytest.fixture(scope="session")
def tokenizer(tiny_preset):
    return gemma.load_model(tiny_preset, "float32").preprocessor.tokenizer


@pytest.fixture(scope="session")
def tuned(tiny_preset):
    """The random Gemma after it memorized `PAIRS`; tests only read it."""
    return tune(tiny_preset)


@pytest.fixture(scope="session")
def packaged_preset():
    """A folder with the converted Gemma 3 270M; only tests marked `slow` use it."""
    return gguf.packaged_preset(str(CACHE_DIR))
