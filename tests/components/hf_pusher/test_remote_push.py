"""Pushes with the hub's own client to a Hub on loopback: content, repetition, the next round."""

import dataclasses
import hashlib
import json

import pytest
from huggingface_hub import snapshot_download

from components.hf_pusher.settings import PushSettings
from tests.components.hf_pusher.conftest import push

pytestmark = pytest.mark.usefixtures("token")

MODEL, DATASET, SPACE = ((kind, "me/support-triage") for kind in ("model", "dataset", "space"))
TRANSFERS = pytest.mark.parametrize("hub_server", ["lfs", "xet"], indirect=True)


def test_each_repository_gets_one_private_commit_and_the_tag(settings, source, hub_server):
    pushed = push(settings, source)
    assert pushed.destination == f"{hub_server.url}/me/support-triage"
    assert set(hub_server.repositories) == {MODEL, DATASET, SPACE}
    for (kind, _), repository in hub_server.repositories.items():
        assert [message for _, message, _ in repository.commits] == [
            "initial commit",
            "Round 2: coverage rate 75.0 %",
        ]
        assert repository.private
        assert repository.tags == {pushed.tag: pushed.commits[kind]}
    assert hub_server.repositories[SPACE].sdk == "gradio"


@TRANSFERS
def test_the_hub_and_the_local_hub_hold_the_same(settings, source, hub_server, tmp_path, files_of):
    push(settings, source)
    local = PushSettings(destination="local", owner="me", local_hub_dir=str(tmp_path / "hub"))
    push(local, source)
    for kind, folder in ((MODEL, "models"), (DATASET, "datasets"), (SPACE, "spaces")):
        remote = dict(hub_server.repositories[kind].head[2])
        remote.pop(".gitattributes")
        in_folder = files_of(tmp_path / "hub" / folder / "me" / "support-triage" / "main")
        # Cards name repositories on the Hub, or folders, and the tag is made from what is pushed.
        for files in (remote, in_folder):
            assert files.pop("README.md")
            if kind == SPACE:
                space = json.loads(files["space.json"])
                assert space.pop("revision").startswith("round-2-")
                files["space.json"] = space
        assert remote == in_folder


@pytest.mark.parametrize(
    ("hub_server", "steps"),
    [
        ("lfs", {"batch", "upload", "complete", "verify"}),
        ("xet", {"xet_token", "xorb", "shard"}),
    ],
    indirect=["hub_server"],
    ids=["lfs", "xet"],
)
def test_large_files_go_the_way_that_the_client_chooses(
    settings, source, hub_server, model_dir, exports_dir, steps
):
    push(settings, source)
    large = {
        "adapter.lora.h5": model_dir / "adapter.lora.h5",
        "assets/tokenizer/vocabulary.spm": model_dir / "preset/assets/tokenizer/vocabulary.spm",
        "model.weights.h5": model_dir / "preset/model.weights.h5",
        "transformers/model.safetensors": exports_dir / "transformers/model.safetensors",
    }
    assert hub_server.repositories[MODEL].lfs_paths == set(large)
    assert steps < set(hub_server.requests)
    for name, path in large.items():
        content = path.read_bytes()
        assert hub_server.objects[hashlib.sha256(content).hexdigest()] == content, name


def test_the_client_downloads_what_was_pushed_by_its_tag(
    settings, source, hub_server, tmp_path, model_dir
):
    tag = push(settings, source).tag
    (model_dir / "model.weights.h5").write_bytes(b"\0other")
    push(settings, dataclasses.replace(source, round=3))
    folder = snapshot_download(
        "me/support-triage",
        revision=tag,
        endpoint=hub_server.url,
        token=hub_server.token,
        cache_dir=tmp_path / "cache",
        max_workers=1,
    )
    with open(f"{folder}/model.weights.h5", "rb") as file:
        assert file.read() == b"\x00weights" * 5000


@TRANSFERS
def test_a_push_that_is_repeated_makes_no_commit_and_uploads_nothing(settings, source, hub_server):
    first = push(settings, source)
    state = hub_server.state()
    hub_server.requests.clear()
    assert push(settings, source) == first
    assert hub_server.state() == state
    assert set(hub_server.requests) == {"whoami", "create", "info", "tag"}


def test_a_new_round_sends_what_changed_and_deletes_what_is_gone(
    settings, source, hub_server, model_dir
):
    push(settings, source)
    hub_server.requests.clear()
    (model_dir / "adapter.lora.h5").write_bytes(b"\0better")
    (model_dir / "preset" / "assets" / "tokenizer" / "vocabulary.spm").unlink()
    push(settings, dataclasses.replace(source, round=3))
    files = hub_server.repositories[MODEL].head[2]
    assert files["adapter.lora.h5"] == b"\0better"
    assert "assets/tokenizer/vocabulary.spm" not in files
    assert hub_server.requests.count("upload") == 1, "only the adapter"
    assert len(hub_server.repositories[MODEL].tags) == 2


def test_a_changed_application_gets_a_new_tag_everywhere(
    settings, source, hub_server, monkeypatch, tmp_path
):
    from components.hf_pusher import space

    first = push(settings, source)
    for path in space.SPACE_DIR.iterdir():
        if path.is_file():
            (tmp_path / "space").mkdir(exist_ok=True)
            (tmp_path / "space" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "space" / "style.css").write_text("/* another style */")
    monkeypatch.setattr(space, "SPACE_DIR", tmp_path / "space")
    second = push(settings, source)
    assert second.tag != first.tag
    for (kind, _), repository in hub_server.repositories.items():
        assert repository.tags[second.tag] == second.commits[kind] == repository.head[0]
    assert second.commits["model"] == first.commits["model"], "the model is the same"
    assert second.commits["space"] != first.commits["space"]


def test_existing_repositories_keep_their_visibility(settings, source, hub_server):
    push(settings, source)
    hub_server.repositories[MODEL].private = False
    push(settings, dataclasses.replace(source, round=3))
    assert not hub_server.repositories[MODEL].private


def test_public_repositories_are_made_where_they_are_wanted(settings, source, hub_server):
    push(settings.model_copy(update={"private": False}), source)
    assert not any(repository.private for repository in hub_server.repositories.values())
