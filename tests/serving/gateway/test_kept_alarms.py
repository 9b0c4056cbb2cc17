"""Alarms of `understudy watch` in a folder that several gateways share."""

import errno
from pathlib import Path

import pytest

from serving.gateway.alarms import Alarms
from serving.gateway.kept_alarms import KeptAlarms


class Gateway:
    """What a gateway has of its alarms."""

    def __init__(self, folder):
        self.alarms = Alarms(None, lambda name, is_raised: None)
        self.kept = KeptAlarms(folder, self.alarms)

    def look(self):
        if (found := self.kept.look()) is not None:
            self.kept.take_up(found)

    def post(self, name, *, is_raised=True):
        self.kept.set(name, "a text", is_raised=is_raised)
        self.look()

    @property
    def raised(self):
        return {alarm.name.removeprefix("watch:") for alarm in self.alarms.raised}


def test_gateways_that_write_before_they_look_keep_each_others_alarms(tmp_path):
    one, other = Gateway(tmp_path), Gateway(tmp_path)
    one.post("service_swapped:t1")
    other.post("service_drift:t2", is_raised=False)
    other.post("model_drift:t2")
    one.look()
    both = {"service_swapped:t1", "model_drift:t2"}
    assert (one.raised, other.raised, Gateway(tmp_path).raised) == (both, both, both)
    other.post("service_swapped:t1", is_raised=False)
    one.look()
    assert one.raised == other.raised == {"model_drift:t2"}


def test_a_look_that_began_before_an_alarm_does_not_clear_it(tmp_path):
    one, other = Gateway(tmp_path), Gateway(tmp_path)
    other.post("a")
    found = one.kept.look()
    one.kept.set("b", "a text", is_raised=True)
    one.kept.take_up(found)
    assert one.raised == {"a", "b"}
    one.look()
    other.look()
    assert other.raised == {"a", "b"}


def test_an_alarm_that_changed_while_it_was_written_is_written_again(tmp_path):
    one = Gateway(tmp_path)
    one.kept.set("a", "", is_raised=True)
    found = one.kept.look()
    one.kept.set("a", "as usual", is_raised=False)
    one.kept.take_up(found)
    assert one.raised == set()
    one.look()
    assert Gateway(tmp_path).raised == set()


@pytest.mark.parametrize("fails", ["replace", "stat"])
def test_what_could_not_be_written_is_written_later_and_said_once(
    tmp_path, monkeypatch, capsys, fails
):
    one, other = Gateway(tmp_path), Gateway(tmp_path)
    other.post("theirs")

    def full(path, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, fails, full)
        one.post("ours")
        one.look()
    assert capsys.readouterr().err.count("cannot be written (No space left on device)") == 1
    assert one.raised == {"ours"}
    one.look()
    assert one.raised == Gateway(tmp_path).raised == {"ours", "theirs"}
