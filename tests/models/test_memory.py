"""What was freed goes back to the system, once a training's graph is there."""

from benchmarks.gemma import resident_gib
from models import memory


def test_freed_memory_is_given_back():
    # Of sizes that malloc takes from its heap, with one at the end that is still used.
    blocks = [bytearray(4000) for _ in range(50_000)]
    last = blocks[-1]
    full = resident_gib("VmRSS")
    blocks.clear()
    memory.trim_memory()
    assert full - resident_gib("VmRSS") > 0.1
    assert len(last) == 4000


def test_a_training_gives_back_after_its_first_batch_only(monkeypatch):
    calls = []
    monkeypatch.setattr(memory, "trim_memory", lambda: calls.append(1))
    callback = memory.TrimMemoryAfterTracing()
    for batch in (0, 1, 0):
        callback.on_train_batch_end(batch)
        assert calls == [1]
