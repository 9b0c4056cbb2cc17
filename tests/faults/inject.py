"""Faults that a run's process does to itself at a moment that is named exactly."""

import ctypes
import importlib
import os
import signal
import struct
import time

from tfx.orchestration.portable.launcher import Launcher

from tests.faults.full_disk import fill_disk

_running = [""]


def killed_in(node, target, count=1):
    """Killed in the middle of a component: before a call that it makes."""
    _before_call(node, target, count, _kill)


def killed_before(target):
    """Killed between components: before a call of the loop."""
    _before_call("", target, 1, _kill)


def killed_before_published(node):
    """Killed when a component has written everything, and the metadata do not know of it yet."""
    publish = Launcher._publish_successful_execution

    def published(self, *arguments, **keywords):
        if self._pipeline_node.node_info.id == node:
            _kill()
        return publish(self, *arguments, **keywords)

    Launcher._publish_successful_execution = published


def killed_after(node):
    """Killed at the boundary: a component is finished, the next one has not begun."""
    launch = Launcher.launch

    def launched(self):
        result = launch(self)
        if self._pipeline_node.node_info.id == node:
            _kill()
        return result

    Launcher.launch = launched


def disk_full_in(node, target, count=1):
    """From a call of a component on, no file can be written any more."""
    _before_call(node, target, count, fill_disk)


def clock_set_in(node, target, count, seconds):
    """The clock is set to another time in the middle of a component, for the rest of it."""
    now = time.time

    def set_clock():
        # Not for longer: what Python tells of the time and what native libraries tell would differ.
        time.time = lambda: now() + (seconds if _running[0] == node else 0)

    _before_call(node, target, count, set_clock)


def without_privileges():
    """Root is held to the permissions of files, as everyone is; see capabilities(7)."""
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


def _before_call(node, target, count, fault):
    """Let a fault happen before a function's `count`th call by a component."""
    _follow_nodes()
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    left = [count]

    def called(*arguments, **keywords):
        if _running[0] == node:
            left[0] -= 1
            if left[0] == 0:
                fault()
        return function(*arguments, **keywords)

    setattr(owner, name, called)


def _follow_nodes():
    run = Launcher._run_executor

    def run_executor(self, info):
        _running[0] = self._pipeline_node.node_info.id
        try:
            return run(self, info)
        finally:
            _running[0] = ""

    Launcher._run_executor = run_executor
