"""The journal: what is on disk stays usable after kills, corruption and two writers at once."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import UserError
from service_llm.journal.journal import Entry, Journal, request_key, request_kind
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Finish, Reply, Request, Usage
from tests.service_llm.conftest import Word

KEY = "ab" * 32
REPLY = Reply('{"word": "ä\u2028"}', Finish.STOP, 10, 5, "v1")


def entry(key=KEY, error=None, component="c", round=1, reply=REPLY, cost=0.5, **fields):
    return Entry(key, "openai/m", component, round, reply, error, cost, **fields)


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
    written = Entry.from_line(file.read_bytes())
    assert written == entry(at=written.at)
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
    assert again.spent_usd() == 2.0


def test_what_was_spent_leaves_out_only_what_has_no_price(journal):
    first = journal()
    for cost in (0.5, None, 0.25):
        first.append(entry(cost=cost)).result()
    assert (first.spent_usd(), journal().spent_usd()) == (0.75, 0.75)
    assert journal().usage("c", 1).cost_usd is None


def test_what_was_spent_is_reported_at_the_start_and_after_each_reply_that_has_a_price(
    journal, caplog
):
    caplog.set_level("DEBUG", logger="understudy.spending")
    first = journal()
    for cost in (0.5, None, 0.25):
        first.append(entry(cost=cost)).result()
    first.close()
    journal()
    spent = [r.spent_usd for r in caplog.records if r.name == "understudy.spending"]
    assert spent == [0.5, 0.75, 0.75]


def test_the_latest_reply_to_a_request_counts(journal):
    first = journal()
    first.append(entry(reply=Reply("of an earlier version", Finish.STOP, 1, 1))).result()
    second = journal()
    second.append(entry()).result()
    assert second.answer(KEY) == REPLY
    assert journal().answer(KEY) == REPLY


def test_a_name_that_was_moved_to_another_model_is_told_once(journal, caplog):
    journal().append(entry()).result()
    again = journal()
    again.append(entry(reply=Reply("", Finish.STOP, 1, 1, "v1"))).result()
    again.append(entry(reply=Reply("", Finish.STOP, 1, 1))).result()
    assert "answers as" not in caplog.text
    for _ in range(3):
        again.append(entry(reply=Reply("", Finish.STOP, 1, 1, "v2"))).result()
    assert caplog.text.count("openai/m answers as v2 now, and as v1 before") == 1


def test_a_days_replies_are_known_to_the_next_run(journal):
    now = time.time()
    first = journal()
    for age in (90_000, 3600, 60, -60):  # the last one as after a clock was set back
        first.append(entry(at=now - age)).result()
    first.append(entry(at=now)).result()
    assert first.earlier("openai/m") == [], "its own requests are counted where they are sent"
    ages = journal().earlier("openai/m")
    assert [round(age, -1) for age in ages] == [3600, 60, -60, 0]
    assert journal().earlier("openai/other") == []


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
        b"[" * 100_000 + b"\n",
        b'{"round": ' + b"9" * 5000 + b"}\n",
        b"\x00" * 4096 + b"\n",
    ],
    ids=lambda damage: repr(damage[:20]),
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


@pytest.mark.parametrize("held", [b"", b"abc", b"00" * 31, b"\xff" * 64])
def test_a_damaged_salt_is_told_and_not_replaced(journal, tmp_path, held):
    first = journal()
    salt = first.salt()
    (tmp_path / "journal" / "salt").write_bytes(held)
    with pytest.raises(UserError, match=rf"'salt' of the journal at {tmp_path}.* is damaged"):
        first.salt()
    assert (tmp_path / "journal" / "salt").read_bytes() == held
    (tmp_path / "journal" / "salt").unlink()
    assert first.salt() != salt


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_full_disk_costs_no_other_line(journal, monkeypatch, kept):
    """The disk takes `kept` bytes of a line and no more; later there is room again."""
    first = journal()
    first.append(entry()).result()
    file = first._segments._file

    class Full:
        name = file.name

        def __getattr__(self, name):
            return getattr(file, name)

        def write(self, data):
            file.write(data[:kept])
            file.flush()
            raise OSError(28, "No space left on device")

    first._segments._file = Full()
    lost, later = "cd" * 32, "ef" * 32
    with pytest.raises(OSError, match="No space"):
        first.append(entry(key=lost)).result()
    first.append(entry(key=later)).result()
    again = journal()
    assert [again.answer(key) for key in (KEY, lost, later)] == [REPLY, None, REPLY]


TEXTS = st.text(st.characters(exclude_categories=[]))  # halves of surrogate pairs, too


@given(text=TEXTS, version=TEXTS, error=st.none() | st.sampled_from(["refused", "bad_output"]))
def test_a_line_holds_any_reply(text, version, error):
    reply = Reply(text, Finish.STOP, 3, 4, version)
    written = entry(reply=reply, error=error, at=12.5)
    line = written.to_line()
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert Entry.from_line(line) == written


@given(line=st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["key", "reply", "round", "finish", "text", "cost_usd", "at"]), inner
    ),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_other_line_is_taken_for_one(line):
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's error is one
        Entry.from_line(line)


@hypothesis_settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_damage_anywhere_costs_only_the_lines_it_touches(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    keys = [f"{number:064x}" for number in range(5)]
    lines = [entry(key=key, at=1.5).to_line() for key in keys]
    whole = bytearray(b"".join(lines))
    start = data.draw(st.integers(0, len(whole) - 1), "start")
    damage = data.draw(st.binary(min_size=1, max_size=400), "damage")
    end = min(len(whole), start + len(damage))
    whole[start:end] = damage[: end - start]
    (folder / "0.jsonl").write_bytes(whole)
    journal = Journal(str(folder))
    bounds = [sum(map(len, lines[:number])) for number in range(6)]
    for number, key in enumerate(keys):
        # A line is touched, too, where the line break before it is gone.
        if end < bounds[number] or start >= bounds[number + 1]:
            assert journal.answer(key) == REPLY
    journal.close()


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


def test_a_salt_is_kept_where_there_are_no_hard_links(journal, monkeypatch, tmp_path):
    def refused(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    first = journal()
    salt = first.salt()
    assert (journal().salt(), first.salt()) == (salt, salt)
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["salt"]


def test_the_replies_of_earlier_versions_stay_found():
    """What was paid for is asked for again, where any of this changes by accident."""
    request = Request("Is it late?", Word, system="Judge.", temperature=0.5, max_output_tokens=300)
    settings = ServiceLLMSettings(provider="openai", model="m", base_url="http://m.example/v1")
    assert request_key(settings, request) == (
        "17d5993ce3ba0072d479b3036709b5cb0a3d83a8b5d209225badf7232f8e7cbb"
    )
    assert request_kind(settings, request) == "5034a0ea19180041"
    written = json.loads(entry(at=7.0).to_line())
    assert written["reply"]["finish"] == "stop"
    assert [Finish("length"), Finish("refused")] == [Finish.LENGTH, Finish.REFUSED]


def test_what_others_spend_in_this_process_counts_at_once(journal):
    """A service and its judge have the same journal, and each has it open."""
    service, judge = journal(), journal()
    judge.append(entry(cost=7.0)).result()
    service.append(entry(cost=0.5)).result()
    judge.append(entry(cost=None)).result()
    assert (service.spent_usd(), judge.spent_usd(), journal().spent_usd()) == (7.5, 7.5, 7.5)


def test_nothing_is_counted_twice_where_journals_are_opened_while_another_writes(journal):
    writer = journal()
    opened = []

    def write():
        for _ in range(100):
            writer.append(entry(cost=1.0)).result()

    writing = threading.Thread(target=write)
    writing.start()
    while writing.is_alive():
        opened.append(journal())
    writing.join()
    assert opened
    assert {other.spent_usd() for other in (writer, *opened)} == {100.0}
