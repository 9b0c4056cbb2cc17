"""A full disk without a disk: the kernel refuses this process every write to a file."""

import ctypes
import errno
import os
import platform
import stat
import struct

_NUMBERS = {  # write, pwrite64, writev, sendfile (into which files are copied); seccomp
    "x86_64": ((1, 18, 20, 40), 317),
    "aarch64": ((64, 68, 66, 71), 277),
}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _DESCRIPTOR = 0, 16  # offsets in seccomp_data
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES = 38
_SET_FILTER, _ALL_THREADS = 1, 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def fill_disk():
    """From now on, calls that write give ENOSPC, in all threads and whichever library makes them.

    A filter of seccomp(2), which needs no privileges. What is no file is spared: the terminal, and
    what threads wake each other with; sockets are written to with other calls.
    """
    numbers, seccomp = _NUMBERS[platform.machine()]
    opened = map(int, os.listdir("/proc/self/fd"))
    # The standard ones lead to a log file now, and to the terminal again when the error is told.
    spared = [d for d in opened if d in (1, 2) or not _is_file(d)]
    # Jumps count the instructions that are left out.
    code = [(_LOAD, 0, 0, _NUMBER)]
    code += [(_EQUAL, len(numbers) - place, 0, n) for place, n in enumerate(numbers)]
    code += [(_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _DESCRIPTOR)]
    code += [(_EQUAL, len(spared) - place, 0, d) for place, d in enumerate(spared)]
    code += [(_RETURN, 0, 0, _ERROR | errno.ENOSPC), (_RETURN, 0, 0, _ALLOW)]
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(code), packed)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(
        seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


def _is_file(descriptor):
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # closed meanwhile
        return True
    return stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
