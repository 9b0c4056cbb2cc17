"""Pushes with the hub's own client to a Hub on loopback: content, repetition, interruption."""

import dataclasses
import socket

import pytest
from huggingface_hub import snapshot_download

from components.hf_pusher.errors import (
    ConflictError,
    NameTakenError,
    PermissionDeniedError,
    PushError,
    QuotaError,
    TokenError,
    TooLargeError,
    UnreachableError,
)
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings

MODEL, DATASET, SPACE = ((kind, "me/support-triage") for kind in ("model", "dataset", "space"))
# In the order in which a push needs them.
STEPS = ["whoami", "create", "info", "yaml", "preupload", "batch", "upload", "complete", "verify"]
STEPS += ["commit", "tag"]


@pytest.fixture(autouse=True)
def token(monkeypatch, hub_server):
    monkeypatch.setenv("HF_TOKEN", hub_server.token)


@pytest.fixture
def settings(hub_server):
    return PushSettings(endpoint=hub_server.url)


def push(settings, source):
    return push_round(settings, source, runs_on_this_machine=True)


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


def test_the_hub_and_the_local_hub_hold_the_same(settings, source, hub_server, tmp_path, files_of):
    push(settings, source)
    local = PushSettings(destination="local", owner="me", local_hub_dir=str(tmp_path / "hub"))
    push(local, source)
    for kind, folder in ((MODEL, "models"), (DATASET, "datasets"), (SPACE, "spaces")):
        remote = dict(hub_server.repositories[kind].head[2])
        remote.pop(".gitattributes")
        assert remote == files_of(tmp_path / "hub" / folder / "me" / "support-triage" / "main")


def test_large_files_are_lfs_objects_and_small_ones_are_not(settings, source, hub_server):
    push(settings, source)
    assert hub_server.repositories[MODEL].lfs_paths == {
        "adapter.lora.h5",
        "assets/tokenizer/vocabulary.spm",
        "model.weights.h5",
    }
    assert {"upload", "complete", "verify"} < set(hub_server.requests), "both ways of upload"


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


def test_a_push_that_is_repeated_makes_no_commit_and_uploads_nothing(settings, source, hub_server):
    first = push(settings, source)
    state = hub_server.state()
    hub_server.requests.clear()
    assert push(settings, source) == first
    assert hub_server.state() == state
    assert not {"preupload", "batch", "upload", "commit"} & set(hub_server.requests)


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


@pytest.mark.parametrize("after", [False, True], ids=["before", "answer-lost"])
@pytest.mark.parametrize("step", STEPS)
def test_a_push_that_ends_at_any_step_is_completed_by_the_next(
    settings, source, hub_server, step, after
):
    expected = push(settings, source)
    state = hub_server.state()
    hub_server.repositories.clear()
    hub_server.verified.clear()
    hub_server.fail(step, 0, after=after)  # the connection breaks, as when a machine is lost
    with pytest.raises(UnreachableError, match="Run again"):
        push(settings, source)
    hub_server.faults.clear()
    assert push(settings, source) == expected
    assert hub_server.state() == state


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_push_killed_before_a_repository_is_completed_by_the_next(
    settings, source, hub_server, monkeypatch, kind
):
    from huggingface_hub import HfApi

    expected = push(settings, source)
    state = hub_server.state()
    hub_server.repositories.clear()
    real = HfApi.create_commit

    def killed(self, *args, **kwargs):
        if kwargs["repo_type"] == kind:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(HfApi, "create_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            push(settings, source)
    assert push(settings, source) == expected
    assert hub_server.state() == state


def test_a_passing_fault_of_the_storage_is_retried(settings, source, hub_server):
    hub_server.fail("upload", 503, times=2)
    push(settings, source)
    assert MODEL in hub_server.repositories


FAULTS = [
    ("create", 401, "Invalid credentials", TokenError, r"expired or revoked.*push\.token_env"),
    ("commit", 401, "Invalid credentials", TokenError, "expired or revoked"),
    ("create", 403, "No rights", PermissionDeniedError, r"may not write.*push\.owner=OWNER"),
    ("commit", 403, "Private storage quota reached", QuotaError, "storage or plan"),
    ("create", 402, "Payment required", QuotaError, "upgrade the plan"),
    ("info", 404, "Repository not found", PermissionDeniedError, r"push\.owner and push\.name"),
    ("commit", 409, "Conflict", ConflictError, "Someone else committed"),
    ("commit", 412, "A commit has happened since", ConflictError, "Someone else committed"),
    ("upload", 413, "Entity too large", TooLargeError, r"Error while uploading.*this size"),
    ("commit", 413, "Payload too large", TooLargeError, r"push\.push_dataset=false"),
    ("preupload", 429, "Too many requests", QuotaError, "Wait some minutes"),
    ("batch", 500, "Oops", UnreachableError, r"out of order.*Run again"),
    ("commit", 503, "Oops", UnreachableError, "out of order"),
    ("verify", 422, "The object is not what was announced", PushError, "announced"),
]


@pytest.mark.parametrize(
    ("step", "status", "message", "kind", "advice"), FAULTS, ids=[f"{f[0]}-{f[1]}" for f in FAULTS]
)
def test_an_error_of_the_hub_says_what_to_do(
    settings, source, hub_server, step, status, message, kind, advice
):
    hub_server.fail(step, status, message)
    with pytest.raises(kind, match=advice) as caught:
        push(settings, source)
    text = str(caught.value)
    assert message in text, "the Hub's own words are kept"
    assert "support-triage" in text
    assert hub_server.token not in text


def test_a_wrong_token_is_told_apart_and_never_shown(settings, source, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_revokedrevoked")
    with pytest.raises(TokenError) as caught:
        push(settings, source)
    assert "revoked" not in str(caught.value).replace("expired or revoked", "")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_server_that_repeats_the_token_does_not_get_it_into_the_message(
    settings, source, hub_server
):
    hub_server.fail("create", 403, f"not for {hub_server.token}")
    with pytest.raises(PermissionDeniedError, match=r"not for \*\*\*"):
        push(settings, source)


def test_no_network_is_told_with_the_way_to_do_without(source):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = PushSettings(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match=r"No connection.*push\.destination=local"):
        push(settings, source)


def test_offline_mode_is_named(settings, source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE"):
        push(settings, source)


def test_an_owner_without_permission_is_named(settings, source):
    with pytest.raises(PermissionDeniedError, match=r"'them/support-triage'.*push\.owner=OWNER"):
        push(settings.model_copy(update={"owner": "them"}), source)


def test_a_name_that_the_hub_refuses_is_told(settings, source):
    with pytest.raises(NameTakenError, match=r"push\.name=NAME"):
        push(settings.model_copy(update={"name": "a--b"}), source)


def test_a_repository_that_no_push_wrote_is_left_alone(settings, source, hub_server):
    push(settings, source)
    repository = hub_server.repositories[MODEL]
    repository.commits[1:] = []
    repository.commit("mine", {"README.md": b"", "thesis.docx": b"years of work"})
    with pytest.raises(NameTakenError, match=r"thesis\.docx.*push\.name=NAME"):
        push(settings, source)
    assert repository.head[1] == "mine"


def test_a_commit_that_happens_meanwhile_is_not_overwritten(
    settings, source, hub_server, monkeypatch, model_dir
):
    from huggingface_hub import HfApi

    push(settings, source)
    (model_dir / "adapter.lora.h5").write_bytes(b"\0better")
    repository = hub_server.repositories[MODEL]
    real = HfApi.create_commit

    def late(self, *args, **kwargs):
        if kwargs["repo_type"] == "model":
            repository.commit("theirs", {**repository.head[2], "theirs.txt": b"x"})
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(HfApi, "create_commit", late)
        with pytest.raises(ConflictError, match="Look at that commit"):
            push(settings, source)
    assert repository.head[1] == "theirs"
    push(settings, source)
    assert repository.head[2]["adapter.lora.h5"] == b"\0better"
