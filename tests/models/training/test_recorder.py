"""What the recorder of a training tells while it goes on."""

import logging
from types import SimpleNamespace

import pytest

from models.training import recorder


@pytest.fixture
def told(monkeypatch, caplog):
    """Records three steps that end at the given seconds; returns what was told after each."""

    def told(*ends):
        clock = iter(ends)
        monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        watched = recorder.Recorder(len(ends), 1, lambda step: 0.1, "", None)
        with caplog.at_level(logging.INFO, "understudy.progress"), watched.fitting():
            for number in range(len(ends)):
                watched.draw(rows=2, tokens=10)
                watched.on_train_batch_end(number, {"loss": 1.0})
        return [r.progress for r in caplog.records if r.name == "understudy.progress"]

    return told


def test_the_time_left_is_told_once_there_is_a_pace(told):
    # The first step compiles for half a minute; the others take two seconds.
    progress = told(30.0, 32.0, 34.0)
    assert [entry["seconds_left"] for entry in progress] == [None, 2, 0]
    assert [entry["done"] for entry in progress] == [1, 2, 3]
