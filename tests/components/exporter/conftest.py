from tests.models.conftest import run_trainer, tiny_cache

__all__ = ["run_trainer", "tiny_cache"]
