"""What is written of real exchanges over HTTP."""

import contextlib
import datetime
import errno
import hashlib
import json
import os

import httpx
import pytest

from core.errors import UserError
from serving.capture import folder as folder_module
from serving.capture.captures import Captures
from serving.capture.settings import CaptureSettings
from task.importers import read_pairs
from task.privacy import PrivacySettings
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    INSTRUCTION,
    KEY,
    MODEL_TEXT,
    PROMPT,
    SERVICE_TEXT,
    gemini_request,
    harness,
    openai_request,
)

FIELDS = [
    *("schema_version", "id", "time", "task", "protocol", "stream", "session", "messages"),
    *("service", "model", "served_by", "reason"),
]
SERVICE_FIELDS = [
    *("text", "status", "milliseconds", "first_byte_milliseconds", "usage", "model_version"),
]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def captured(tmp_path):
    """A gateway that captures, and what it has written."""
    with harness() as servers:

        def lines(number):
            def found():
                files = sorted(tmp_path.glob("*.jsonl"))
                return [line for file in files for line in file.read_text().splitlines()]

            servers.wait_until(lambda: len(found()) >= number)
            assert len(found()) == number
            return [json.loads(line) for line in found()]

        def start(*, privacy=None, **changes):
            task = servers.task(privacy=privacy or PrivacySettings())
            capture = {"enabled": True, "folder": str(tmp_path)}
            servers.start(servers.settings(capture=capture, **changes), [task])
            return servers

        yield start, lines


def test_every_form_of_an_exchange_is_a_line_that_the_importer_reads(captured, tmp_path):
    start, lines = captured
    servers = start()
    for protocol in ("gemini", "openai"):
        for stream in (False, True):
            servers.ask(protocol, stream=stream)
    servers.post(GEMINI_STREAM_PATH, gemini_request())  # as a JSON array
    servers.post(GEMINI_PATH, gemini_request(), x_understudy_fallback="off")
    servers.post(GEMINI_PATH, gemini_request(system="Of another task."))
    servers.took(7)
    written = lines(6)
    forms = [(line["protocol"], line["stream"]) for line in written]
    streams = [("gemini", False), ("gemini", True), ("openai", False), ("openai", True)]
    assert forms == [*streams, ("gemini", True), ("gemini", False)]
    for line in written:
        assert list(line) == FIELDS
        assert list(line["service"]) == SERVICE_FIELDS
        assert line["service"]["text"] == SERVICE_TEXT
        assert line["service"]["model_version"] == "gemini-x"
        assert line["messages"] == [
            {"role": "system", "text": INSTRUCTION},
            {"role": "user", "text": PROMPT},
        ]
        assert (line["model"], line["served_by"], line["session"]) == (None, "service", None)
    assert [line["reason"] for line in written] == ["ok"] * 5 + ["off"]
    assert written[2]["service"]["usage"] == {"prompt_tokens": 1, "output_tokens": 1}
    imported = read_pairs(str(tmp_path))
    assert imported.parts[0].shape.name == "capture"
    assert [(p.conversation.text, p.output) for p in imported.pairs] == [(PROMPT, SERVICE_TEXT)] * 6
    assert imported.pairs[0].conversation.system == INSTRUCTION
    assert KEY not in "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("protocol", "finish"),
    [
        ("gemini", "MAX_TOKENS"),
        ("gemini", "OTHER"),
        ("gemini", "SAFETY"),
        ("openai", "length"),
        ("openai", "content_filter"),
    ],
)
def test_an_answer_cut_off_or_refused_is_passed_on_and_no_reference(
    captured, tmp_path, protocol, finish, stream
):
    start, lines = captured
    servers = start()
    body, event = {
        "gemini": (fakes.gemini_body, fakes.gemini_event),
        "openai": (fakes.openai_body, fakes.openai_chunk),
    }[protocol]

    async def stop(request, reply):
        if not stream:
            await reply.whole(body(SERVICE_TEXT, finish))
            return
        await reply.begin_chunks()
        await reply.chunk(event(SERVICE_TEXT, finish))
        await reply.end_chunks()

    servers.service.behavior = stop
    assert servers.ask(protocol, stream=stream) == SERVICE_TEXT
    [line] = lines(1)
    assert (line["served_by"], line["reason"], line["service"]["text"]) == ("service", "ok", None)
    assert line["service"]["status"] == 200
    with pytest.raises(UserError, match="the service LLM gave no whole answer"):
        read_pairs(str(tmp_path))


def test_a_line_says_which_exchange_it_is_of_when_and_how_long_it_took(captured):
    start, lines = captured
    servers = start()
    for stream in (False, True):
        servers.ask("gemini", stream=stream)
    exchanges = {exchange.id: exchange for exchange in servers.took(2)}
    written = lines(2)
    assert {line["id"] for line in written} == exchanges.keys()
    assert len(exchanges) == 2
    for line in written:
        exchange = exchanges[line["id"]]
        assert line["task"] == exchange.task == "triage"
        assert line["time"].endswith("Z")
        time = datetime.datetime.fromisoformat(line["time"]).timestamp()
        assert time == pytest.approx(exchange.time, abs=0.001)
        service, answer = line["service"], exchange.content.service
        assert service["milliseconds"] == pytest.approx(1000 * answer.seconds, abs=0.06)
        first = 1000 * answer.first_byte_seconds
        assert service["first_byte_milliseconds"] == pytest.approx(first, abs=0.06)
        assert 0 < service["first_byte_milliseconds"] <= service["milliseconds"]


def test_in_an_outage_the_line_holds_the_tuned_models_answer(captured, tmp_path):
    start, lines = captured
    servers = start()

    async def cut(request, reply):
        await reply.begin_chunks()
        await reply.chunk(fakes.gemini_event("Half an"))
        reply.close()

    async def empty(request, reply):
        await reply.whole(fakes.gemini_body(""))

    servers.service.behavior = cut
    assert servers.ask("gemini", stream=True) == MODEL_TEXT
    servers.service.behavior = empty
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    first, second = lines(2)
    assert (first["served_by"], first["reason"]) == ("model", "F13")
    assert first["service"]["text"] is None
    assert first["service"]["status"] == 200
    assert first["model"].pop("milliseconds") > 0
    assert first["model"] == {
        "text": MODEL_TEXT,
        "confidence": None,
        "round": 3,
        "model_version": "triage/round-3@1f2e3d4c",
    }
    assert second["service"]["text"] == ""
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    servers.ask("gemini", stream=False)
    lines(3)
    imported = read_pairs(str(tmp_path))
    assert len(imported.pairs) == 1
    assert [refusal.skipped for refusal in imported.refusals] == [True, True]


def test_personal_data_keys_and_the_names_of_users_are_not_written(captured, tmp_path):
    start, lines = captured
    servers = start(privacy=PrivacySettings(redact=True), sticky_header="X-User")
    servers.service.behavior = fakes.healthy('{"category": "billing", "from": "ada@example.org"}')
    secret = "AIza" + "x" * 35
    prompt = f"I am Ada@example.org and my key is {secret}."
    headers = {"x-goog-api-key": "", "x-user": "ada@example.org"}
    path = f"{servers.url}{GEMINI_PATH}?key={KEY}"
    for _ in range(2):
        httpx.post(path, json=gemini_request(prompt), headers=headers).raise_for_status()
    servers.post("/v1/chat/completions", openai_request(prompt, user="bob@example.org"))
    written = lines(3)
    assert written[0]["messages"][1]["text"] == "I am [EMAIL_1] and my key is [KEY_1]."
    assert written[0]["service"]["text"] == '{"category": "billing", "from": "[EMAIL_1]"}'
    assert written[0]["session"] == written[1]["session"] != written[2]["session"]
    guess = hashlib.blake2b(b"ada@example.org", digest_size=8).hexdigest()
    assert guess not in [line["session"] for line in written]
    text = "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert not [each for each in ("example.org", secret, KEY, "ob@") if each in text]


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_mail_phone_and_iban_reach_neither_model_nor_disk_and_are_in_the_answer(
    captured, tmp_path, protocol
):
    start, lines = captured
    privacy = PrivacySettings(redact=True)
    servers = start(privacy=privacy, base_url="http://no-such-service.invalid")
    personal = ("ada@example.org", "+49 30 901820", "DE89 3704 0044 0532 0130 00")
    hidden = "[EMAIL_1], [PHONE_1], [IBAN_1]"
    answer = {"category": "billing", "from": hidden}
    servers.model.behavior = fakes.model(json.dumps(answer))
    text = servers.ask(protocol, stream=False, prompt=f"I am {', '.join(personal)}.")
    assert json.loads(text) == {"category": "billing", "from": ", ".join(personal)}
    asked = servers.model.received[-1].json["messages"][-1]["content"]
    assert asked.endswith(f"I am {hidden}.")
    (line,) = lines(1)
    assert line["messages"][-1]["text"] == f"I am {hidden}."
    assert json.loads(line["model"]["text"]) == answer
    sent = json.dumps([request.json for request in servers.model.received])
    written = "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert not [each for each in personal if each in sent + written]


def test_keys_are_not_written_without_redaction_either(captured, tmp_path):
    start, lines = captured
    secret = "sk-" + "x" * 40
    start().ask("openai", stream=False, prompt=f"Is {secret} valid? Write to ada@example.org.")
    text = lines(1)[0]["messages"][1]["text"]
    assert text == "Is [KEY] valid? Write to ada@example.org."


@pytest.mark.parametrize("failure", [FULL, ValueError("never seen before")])
def test_when_the_disk_is_full_answers_continue_and_the_alarm_says_so(
    captured, monkeypatch, failure
):
    monkeypatch.setattr("serving.capture.capture._CALM_SECONDS", 0.05)
    start, _ = captured
    servers = start()

    def write(file, data):
        raise failure

    def metric(name):
        text = httpx.get(f"{servers.url}/understudy/metrics").text
        return next((line for line in text.splitlines() if line.startswith(name)), None)

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, "write", write)
        for _ in range(3):
            assert servers.ask("gemini", stream=True) == SERVICE_TEXT
        dropped = "understudy_capture_dropped_total"
        servers.wait_until(lambda: metric(dropped) == f"{dropped} 3.0")
        servers.wait_until(lambda: metric('understudy_alarm{name="capture"} 1.0') is not None)

    def is_well():
        assert servers.ask("gemini", stream=True) == SERVICE_TEXT
        return metric('understudy_alarm{name="capture"} 0.0') is not None

    servers.wait_until(is_well)


def test_what_was_said_is_on_no_page(captured):
    start, lines = captured
    servers = start()
    servers.ask("gemini", stream=False)
    lines(1)
    for page in ("", "status", "metrics"):
        text = httpx.get(f"{servers.url}/understudy/{page}").text
        assert not [each for each in (PROMPT, "kettle", SERVICE_TEXT, KEY) if each in text]


def test_what_waits_is_written_before_the_gateway_stops(tmp_path):
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(harness())
        servers.start(servers.settings(capture=True), state_dir=tmp_path)
        servers.ask("gemini", stream=False)
    (file,) = (tmp_path / "capture").glob("*.jsonl")
    assert len(file.read_text().splitlines()) == 1


def test_each_task_is_captured_where_its_own_commands_look_for_it(tmp_path):
    folders = {"triage": tmp_path / "a", "billing": tmp_path / "b"}
    with harness() as servers:
        tasks = [servers.task(), servers.task(name="billing", match="model", model_alias="gpt")]
        servers.start(servers.settings(capture=True), tasks, capture_folders=folders)
        servers.ask("gemini", stream=False)
        body = {**openai_request(system="Another."), "model": "gpt"}
        servers.post("/v1/chat/completions", body)
    for task, folder in folders.items():
        (file,) = folder.glob("*.jsonl")
        assert [json.loads(line)["task"] for line in file.read_text().splitlines()] == [task]


@pytest.mark.parametrize("enabled", [True, False])
def test_old_files_are_deleted_even_where_nothing_is_captured_now(tmp_path, enabled):
    old, new = (tmp_path / f"{day}T000000Z-00000000.jsonl" for day in ("2020-01-01", "2999-01-01"))
    old.touch()
    new.touch()
    with harness() as servers:
        capture = {"enabled": enabled, "folder": str(tmp_path)}
        servers.start(servers.settings(capture=capture))
        servers.wait_until(lambda: not old.exists())
    assert new.exists()


def test_the_alarm_of_the_capture_lasts_until_all_folders_are_well(tmp_path):
    problems = []
    folders = {"a": tmp_path / "a", "b": tmp_path / "b", "c": tmp_path / "b"}
    captures = Captures(CaptureSettings(), folders, lambda count: None, problems.append)
    a, b = (captures._noted(tmp_path / name) for name in "ab")
    a("a is full")
    b("b is full")
    a(None)
    b(None)
    assert problems == ["a is full", "a is full", "b is full", None]


def test_a_client_that_leaves_while_the_model_hangs_is_a_line_without_an_answer(captured):
    start, lines = captured
    servers = start(mode="model")

    async def stall(request, reply):
        await reply.stall()

    servers.model.behavior = stall
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{servers.url}{GEMINI_PATH}", json=gemini_request(), timeout=0.5)
    [line] = lines(1)  # what the walk of a canary takes for a client without patience
    assert (line["served_by"], line["reason"]) == ("none", "model:client_left")
    assert (line["service"], line["model"]) == (None, None)
