"""What the gateway of several presets is made of; nothing is started."""

import asyncio
import errno
import io
import re
import socket
import types

import pytest

from core.errors import UserError
from serving import run_gateway as run_gateway_module
from serving.chosen_round import keep_chosen_round, read_chosen_round
from serving.gateway import server as server_module
from serving.preset import ServedPreset
from serving.run_gateway import run_gateway
from serving.settings import ServingSettings
from task.task import Task


def connect(listener) -> str:
    """What a client gets."""
    with socket.socket() as client:
        try:
            client.connect(listener.getsockname())
        except ConnectionRefusedError:
            return "refused"
        return "accepted"


def preset(folder, name: str, **settings) -> ServedPreset:
    return ServedPreset(
        preset=f"{name}.yaml",
        task=Task(name=name, instruction="Sort."),
        output_dir=folder / name,
        settings=ServingSettings(**settings),
    )


@pytest.fixture
def made(monkeypatch):
    """With which arguments the gateway was made; rounds that were loaded are under `rounds`."""
    seen = {"rounds": []}

    class Models:
        def __init__(self, presets, on_state, say):
            self.presets = presets

        async def load(self, round):
            seen["rounds"].append(round)
            seen["while_loading"] = connect(seen["holder"])
            if round == 9:
                raise UserError("There is no round 9.")
            return [
                types.SimpleNamespace(
                    name=p.task.name, model_version=f"{p.task.name}/round-1@ab", samples=("Hi.",)
                )
                for p in self.presets
            ]

        async def close(self):
            pass

    def create_app(settings, tasks, **options):
        options["say"]("The mode is failover, the preset's.")
        seen.update(options)

    async def serve(listener):
        seen["served"] = True
        seen["while_serving"] = connect(listener)
        for problem in seen.get("problems", ("",)):
            seen["on_readiness"](problem)

    def bind(host, port):
        seen["holder"] = server_module.bind(host, port)
        return seen["holder"]

    monkeypatch.setattr(run_gateway_module, "bind", bind)
    server = types.SimpleNamespace(serve_until_signal=serve)
    monkeypatch.setattr(run_gateway_module, "TunedModels", Models)
    monkeypatch.setattr(run_gateway_module, "_import_create_app", lambda: create_app)
    monkeypatch.setattr(run_gateway_module, "make_server", lambda app: server)
    return seen


def test_each_preset_is_captured_in_its_own_folder(made, tmp_path):
    own = {"enabled": True, "folder": str(tmp_path / "own")}
    presets = [preset(tmp_path, "a", capture=True), preset(tmp_path, "b", capture=own)]
    asyncio.run(run_gateway(presets, 0))
    assert made["served"]
    assert made["capture_folders"] == {
        "a": tmp_path / "a" / "serving" / "capture",
        "b": tmp_path / "own",
    }


@pytest.mark.parametrize(
    ("chosen", "rounds", "told"),
    [
        (None, [None], "The mode is failover"),
        (2, [2], "Round 2 was chosen by `serve reload`"),
        (9, [9, None], "Round 9, .* cannot be loaded: There is no round 9."),
    ],
)
def test_the_round_that_was_chosen_is_loaded_and_the_start_says_so(
    made, tmp_path, capsys, chosen, rounds, told
):
    keep_chosen_round(tmp_path / "a" / "serving", chosen)
    asyncio.run(run_gateway([preset(tmp_path, "a")], 0))
    assert made["rounds"] == rounds
    assert made["served"]
    assert re.search(told, capsys.readouterr().err)


def test_connections_are_refused_until_somebody_answers_them(made, tmp_path):
    asyncio.run(run_gateway([preset(tmp_path, "a")], 0))
    assert (made["while_loading"], made["while_serving"]) == ("refused", "accepted")


def test_a_taken_port_is_told_before_a_model_is_loaded(made, tmp_path):
    with server_module.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(run_gateway([preset(tmp_path, "a")], port))
    assert made["rounds"] == []


def test_ready_is_said_once_the_gateway_is_ready(made, tmp_path, capsys):
    made["problems"] = ("the model answers nothing", "")
    asyncio.run(run_gateway([preset(tmp_path, "a")], 0))
    said = capsys.readouterr().err
    before, ready = said.split("Not ready: the model answers nothing\n")
    assert "waiting for the tuned model's first answer" in before
    assert "ready behind" not in before
    assert re.match(r"a/round-1@ab is ready behind http://127\.0\.0\.1:\d+\nPoint the", ready)
    assert "YOUR MESSAGE" in ready
    assert "Hi." not in ready, "a log holds no prompt"


def test_a_gateway_that_nobody_reads_serves_all_the_same(made, tmp_path, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    made["problems"] = ("the model answers nothing", "")
    monkeypatch.setattr("sys.stderr", Gone())
    asyncio.run(run_gateway([preset(tmp_path, "a")], 0))
    assert made["served"]


def test_the_best_round_ends_a_choice(tmp_path):
    keep_chosen_round(tmp_path, 2)
    assert read_chosen_round(tmp_path) == 2
    keep_chosen_round(tmp_path, None)
    assert read_chosen_round(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"round": "2"}'])
def test_a_damaged_choice_is_none(tmp_path, text):
    (tmp_path / "round.json").write_text(text)
    assert read_chosen_round(tmp_path) is None


def test_a_terminal_gets_lines_that_break_at_spaces_and_a_command_as_it_is(
    made, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    asyncio.run(run_gateway([preset(tmp_path, "a")], 0))
    said = capsys.readouterr().err
    assert "Accepting connections; waiting for the\ntuned model's first answer.\n" in said
    assert """-d '{"task": "a", "text": "Hi."}'\n""" in said


def test_of_two_gateways_that_start_at_the_same_time_the_second_is_told():
    with server_module.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}"):
            server_module.bind("127.0.0.1", port)


def test_connections_that_linger_do_not_hold_up_the_next_gateway():
    with server_module.listen("127.0.0.1", 0) as first, socket.socket() as client:
        port = first.getsockname()[1]
        client.connect(("127.0.0.1", port))
        first.accept()[0].close()  # who closes first keeps the connection for a minute
        client.recv(1)
    server_module.listen("127.0.0.1", port).close()
