"""What the gateway of several presets is made of; nothing is started."""

import asyncio
import re
import types

import pytest

from core.errors import UserError
from serving import run_gateway as run_gateway_module
from serving.chosen_round import keep_chosen_round, read_chosen_round
from serving.preset import ServedPreset
from serving.run_gateway import run_gateway
from serving.settings import ServingSettings
from task.task import Task


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
        def __init__(self, presets, on_state):
            self.presets = presets

        async def load(self, round):
            seen["rounds"].append(round)
            if round == 9:
                raise UserError("There is no round 9.")
            return [types.SimpleNamespace(model_version=p.task.name) for p in self.presets]

        async def close(self):
            pass

    def create_app(settings, tasks, **options):
        options["say"]("The mode is failover, the preset's.")
        seen.update(options)

    async def serve(listener):
        seen["served"] = True

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


def test_the_best_round_ends_a_choice(tmp_path):
    keep_chosen_round(tmp_path, 2)
    assert read_chosen_round(tmp_path) == 2
    keep_chosen_round(tmp_path, None)
    assert read_chosen_round(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"round": "2"}'])
def test_a_damaged_choice_is_none(tmp_path, text):
    (tmp_path / "round.json").write_text(text)
    assert read_chosen_round(tmp_path) is None
