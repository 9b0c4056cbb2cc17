"""The journal: what is on disk stays usable after kills, corruption and two writers at once."""

import threading

import pytest

from components.errors import UserError
from components.service_llm.journal import Entry, Journal, request_key
from components.service_llm.types import Finish, Reply, Request, Usage
from tests.components.service_llm.conftest import Word

KEY = "ab" * 32
REPLY = Reply('{"word": "ä\u2028"}', Finish.STOP, 10, 5, "v1")


def entry(key=KEY, error=None, component="c", round=1, reply=REPLY, cost=0.5):
    return Entry(key, component, round, reply, error, cost)


@pytest.fixture
def journal(tmp_path):
    journals = []

    def open_journal():
        journals.append(Journal(str(tmp_path / "journal")))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


def files(tmp_path):
    return sorted((tmp_path / "journal").glob("*.jsonl"))


def test_an_entry_is_on_disk_when_its_future_is_done(journal, tmp_path):
    journal().append(entry()).result()
    (file,) = files(tmp_path)
    assert Entry.from_line(file.read_bytes()) == entry()
    assert journal().answer(KEY) == REPLY


def test_failures_count_but_are_no_answers(journal):
    first = journal()
    for error in ("refused", "bad_output", "truncated"):
        first.append(entry(error=error)).result()
    assert journal().answer(KEY) is None
    assert journal().usage("c", 1) == Usage(3, 30, 15, 1.5)


def test_usage_is_by_component_and_round(journal):
    first = journal()
    for component, number in (("c", 1), ("c", 2), ("d", 1), ("c", 1)):
        first.append(entry(component=component, round=number)).result()
    again = journal()
    assert [again.usage(*k).calls for k in (("c", 1), ("c", 2), ("d", 1), ("d", 2))] == [2, 1, 1, 0]
    assert again.total().cost_usd == 2.0


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b'{"key": 1}\n',
        b"\xff\xfe\n",
        b"null\n",
        b'{"key": "zz", "reply": {}}\n',
        b"\n",
        b"[]\n",
    ],
)
def test_damaged_lines_are_skipped_and_reported(journal, tmp_path, caplog, damage):
    journal().append(entry()).result()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage.rstrip(b"\n") + b"\n" + whole + damage)
    assert journal().answer(KEY) == REPLY
    assert "cannot be read" in caplog.text


def test_a_line_that_was_cut_off_harms_no_other(journal, tmp_path):
    journal().append(entry()).result()
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-20])
    other = "cd" * 32
    journal().append(entry(key=other)).result()
    again = journal()
    assert (again.answer(KEY), again.answer(other)) == (None, REPLY)


def test_two_writers_share_a_folder(journal):
    keys = [f"{number:064x}" for number in range(40)]
    both = [journal(), journal()]

    def write(journal, mine):
        for key in mine:
            journal.append(entry(key=key)).result()

    threads = [threading.Thread(target=write, args=(both[side], keys[side::2])) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = journal()
    assert all(again.answer(key) == REPLY for key in keys)


def test_the_salt_is_made_once(journal):
    salt = journal().salt()
    assert len(salt) == 32
    assert journal().salt() == salt


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        Journal(str(tmp_path / "file" / "journal"))
    with pytest.raises(UserError, match="s3://"):
        Journal("s3://bucket/journal")


def test_a_write_that_fails_is_told_to_who_waits_for_it(journal, monkeypatch):
    first = journal()

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first._segments, "append", full)
    with pytest.raises(OSError, match="No space"):
        first.append(entry()).result()
    assert first.answer(KEY) is None


def test_the_key_holds_no_secret_and_no_port(monkeypatch, settings):
    request = Request("word", Word)
    url = "env:SERVER_URL"
    keys = {request_key(settings(base_url=url, api_key_env=name), request) for name in (None, "A")}
    assert len(keys) == 1
