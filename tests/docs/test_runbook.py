"""The commands of the runbook that go back to an earlier model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from components.hf_pusher.hub import Content
from components.hf_pusher.local_hub import LocalHub
from components.hf_pusher.remote_hub import RemoteHub
from core.artifact_files import MARKER
from tests.components.hf_pusher.hub_server import running_hub
from tests.docs.guides import REPOSITORY

KINDS = ("model", "dataset", "space")
TAGS = ("round-1-11111111", "round-2-22222222")
FILES = {"README.md": b"---\ntitle: Triage\nsdk: gradio\n---\n", MARKER: b"{}"}


def commands(title):
    """A block of the runbook with the placeholders replaced by what the environment says."""
    text = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf'^```bash title="{title}"\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    first, _, rest = block.partition("\n")
    assert re.fullmatch(r"NAME=\S+ TAG=\S+", first)
    return rest.replace(".venv/bin/", f"{Path(sys.executable).parent}/")


def run(title, folder, **variables):
    subprocess.run(
        ["bash", "-euc", commands(title)], cwd=folder, env={**os.environ, **variables}, check=True
    )


def push_two_rounds(hub, owner):
    for number, tag in enumerate(TAGS, start=1):
        for kind in KINDS:
            files = {**FILES, "weights": b"round %d" % number}
            if number == 2:
                files["later.txt"] = b"only in the second round"
            content = Content(kind, f"{owner}/triage", files)
            hub.push(content, message=tag, tag=tag, private=True)


def test_the_local_hub_goes_back_and_takes_the_next_push(tmp_path):
    hub = LocalHub(tmp_path / "output" / "hub")
    push_two_rounds(hub, "local")
    model = tmp_path / "output" / "hub" / "models" / "local" / "triage"
    assert (model / "main" / "weights").read_bytes() == b"round 2"
    run("back in the local hub", tmp_path, NAME="local/triage", TAG=TAGS[0])
    for kind in ("models", "datasets", "spaces"):
        main = tmp_path / "output" / "hub" / kind / "local" / "triage" / "main"
        assert (main / "weights").read_bytes() == b"round 1"
        assert not (main / "later.txt").exists()
    third = Content("model", "local/triage", {"weights": b"round 3"})
    commit = hub.push(third, message="3", tag="round-3-33333333", private=True)
    assert (model / "main" / "weights").read_bytes() == b"round 3"
    assert commit.created
    assert len(list((model / "tags").iterdir())) == 3


@pytest.fixture
def hub_server():
    with running_hub() as server:
        yield server


def test_the_hub_goes_back_and_keeps_the_later_model(tmp_path, hub_server):
    push_two_rounds(RemoteHub(hub_server.token, hub_server.url), "me")
    where = {"HF_ENDPOINT": hub_server.url, "HF_TOKEN": hub_server.token}
    where["HF_HOME"] = str(tmp_path / "home")
    run("back on the Hub", tmp_path, NAME="me/triage", TAG=TAGS[0], **where)

    def held(kind, revision):
        folder = snapshot_download(
            "me/triage",
            repo_type=kind,
            revision=revision,
            endpoint=hub_server.url,
            token=hub_server.token,
            cache_dir=tmp_path / "read",
        )
        return {
            path.name: path.read_bytes()
            for path in Path(folder).iterdir()
            if not path.name.startswith(".")
        }

    for kind in ("model", "space"):
        assert held(kind, "main") == {**FILES, "weights": b"round 1"}
        assert held(kind, TAGS[1])["weights"] == b"round 2"
        assert hub_server.repositories[kind, "me/triage"].private
    assert held("dataset", "main")["weights"] == b"round 2"
