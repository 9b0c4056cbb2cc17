"""What the gateway of several presets is made of; nothing is started."""

import asyncio
import types

import pytest

from serving import run_gateway as run_gateway_module
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
            return [types.SimpleNamespace(model_version=p.task.name) for p in self.presets]

        async def close(self):
            pass

    def create_app(settings, tasks, **options):
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
