"""The command line of `serve` and `drill`: mistakes end in one message and status 2."""

import re
import socket

import pytest

import local_runner


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_STANDIN_URL", raising=False)

    def run(*arguments):
        override = ("--set", f"output_dir={tmp_path / 'output'}")
        status = local_runner.main([*arguments, *override])
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--preset", "ofline"], "no preset 'ofline'"),
        (["serve", "--set", "serving.holdkib=3"], "serving.holdkib: unknown key.*hold_kib"),
        (["serve", "--port", "0"], "no .*summary.json.*make run.*serving.model.url"),
        (["serve", "--round", "2"], "--round 2 is only valid with `understudy serve reload`"),
        (["serve", "--explain", "nowhere.jsonl"], "'nowhere.jsonl' cannot be read"),
        (["serve", "reload", "--port", "9"], "No gateway answers on port 9"),
        (
            ["serve", "--preset", "offline", "--preset", "gemini"],
            "offline, gemini have different services",
        ),
    ],
    ids=["preset", "key", "no run", "round", "no requests", "no gateway", "two services"],
)
def test_a_mistake_is_told_in_one_sentence(run, arguments, message):
    status, printed = run(*arguments)
    assert status == 2
    assert re.search(message, printed, re.DOTALL), printed


def test_the_port_that_is_taken_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, printed = run("serve", "--port", port)
    assert status == 2
    assert f"cannot listen on 127.0.0.1:{port}" in printed
