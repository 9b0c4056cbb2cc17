"""One at a time, also on file systems that have no locks."""

import errno
import fcntl
import multiprocessing
import os
import threading

import pytest

from core.claim import claim_file, wait_for_file
from core.errors import UserError

NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL]


@pytest.fixture(params=[None, *NO_LOCKS], ids=lambda number: errno.errorcode.get(number, "locks"))
def file(request, tmp_path, monkeypatch):
    """A file to claim, on a file system without locks where the parameter is an error."""
    folder = tmp_path / "shared"
    folder.mkdir()
    flock = fcntl.flock

    def refused(lock, operation):
        if request.param and os.readlink(f"/proc/self/fd/{lock.fileno()}").startswith(str(folder)):
            raise OSError(request.param, os.strerror(request.param))
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder / ".lock"


def test_a_second_claim_is_refused_and_the_file_is_free_again_after_the_first(file):
    again = claim_file(file, "Another run holds it.")
    with (
        claim_file(file, "Another run holds it."),
        pytest.raises(UserError, match=r"^Another run holds it\.$"),
        again,
    ):
        pass
    with claim_file(file, "Another run holds it."), claim_file(file.with_name("other"), "Taken."):
        pass


def test_a_link_to_the_file_is_the_file(file):
    link = file.with_name("link")
    link.symlink_to(file)
    again = claim_file(link, "Taken.")
    with claim_file(file, "Taken."), pytest.raises(UserError, match="Taken"), again:
        pass


def _hold(file, inside, go_on):
    with wait_for_file(file):
        inside.set()
        go_on.wait(60)


def test_one_that_waits_goes_on_when_the_holder_is_killed(file):
    context = multiprocessing.get_context("fork")
    inside, go_on = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(file, inside, go_on))
    holder.start()
    assert inside.wait(60)
    with pytest.raises(UserError), claim_file(file, "Taken."):
        pass
    entered = threading.Event()

    def wait():
        with wait_for_file(file):
            entered.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not entered.wait(0.2), "it waits"
    holder.kill()
    waiting.join(60)
    assert entered.is_set()
    holder.join()


def test_what_users_are_told_of_a_file_system_without_locks(file, caplog, request):
    with claim_file(file, "Taken."):
        pass
    told = "does not support locks: other processes on this machine are kept out" in caplog.text
    assert told == (request.node.callspec.params["file"] is not None)


def test_a_file_system_without_locks_is_told_of_once_for_each_file(file, caplog):
    for _ in range(3):
        with wait_for_file(file):
            pass
    assert caplog.text.count("does not support locks") <= 1


def test_another_error_is_no_missing_lock(tmp_path, monkeypatch):
    def broken(lock, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), claim_file(tmp_path / "a", "Taken."):
        pass


def test_a_folder_for_locks_that_another_user_made_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "shared").mkdir()
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)

    def without_locks(lock, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without_locks)
    claim = claim_file(tmp_path / "shared" / "a", "Taken.")
    with pytest.raises(UserError, match=r"understudy-locks-\d+' .* another user.*TMPDIR"), claim:
        pass
