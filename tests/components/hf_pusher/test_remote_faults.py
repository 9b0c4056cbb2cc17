"""Pushes that fail say what to do, with the hub's own client and a Hub on loopback."""

import re
import socket

import pytest

from components.hf_pusher.errors import (
    CardError,
    ConflictError,
    NameTakenError,
    PermissionDeniedError,
    PlanError,
    PushError,
    QuotaError,
    TokenError,
    TooLargeError,
    UnreachableError,
)
from components.hf_pusher.explain import _MAX_DETAIL
from components.hf_pusher.settings import PushSettings
from core.errors import OutageError
from tests.components.hf_pusher.conftest import push

pytestmark = pytest.mark.usefixtures("token")

MODEL = ("model", "me/support-triage")
FAULTS = [
    ("create", 401, "Invalid credentials", TokenError, r"expired or revoked.*push\.token_env"),
    ("commit", 401, "Invalid credentials", TokenError, "expired or revoked"),
    ("create", 403, "No rights", PermissionDeniedError, r"may not write.*push\.owner=OWNER"),
    ("commit", 403, "Private storage quota reached", PlanError, "storage or plan"),
    ("create", 402, "Payment required", PlanError, "upgrade the plan"),
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
XET_FAULTS = [
    ("xet_token", 401, TokenError, r"expired or revoked.*push\.token_env"),
    ("xet_token", 403, PermissionDeniedError, r"may not write.*push\.owner=OWNER"),
    ("xorb", 403, PermissionDeniedError, "may not write"),
    ("xorb", 402, PlanError, "upgrade the plan"),
    ("xorb", 413, TooLargeError, "file or commit of this size"),
    ("xorb", 429, QuotaError, "Wait some minutes"),
    ("shard", 503, UnreachableError, r"out of order.*Run again"),
    ("shard", 400, PushError, "refused the request"),
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


@pytest.mark.parametrize("hub_server", ["xet"], indirect=True)
@pytest.mark.parametrize(
    ("step", "status", "kind", "advice"), XET_FAULTS, ids=[f"{f[0]}-{f[1]}" for f in XET_FAULTS]
)
def test_an_error_of_the_storage_behind_xet_says_what_to_do(
    settings, source, hub_server, step, status, kind, advice
):
    hub_server.fail(step, status)
    with pytest.raises(kind, match=advice) as caught:
        push(settings, source)
    assert str(status) in str(caught.value)
    assert hub_server.token not in str(caught.value)


def test_a_file_that_is_too_large_is_told(settings, source, hub_server):
    hub_server.largest_file = 30_000
    with pytest.raises(TooLargeError, match=r"file of this size.*exceeds the size limit"):
        push(settings, source)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (['"license" must be one of [apache-2.0, mit]'], r"`license`\. Correct push\.license and"),
        (['"language[0]" must only contain lowercase characters'], r"`language`.*push\.languages"),
        (
            ['"base_model" is invalid', '"license_link" must be a URL'],
            r"`base_model`, `license_link`\. Correct push\.base_model, push\.license_link and run",
        ),
        (
            ['YAML metadata schema issue on key "model-index" (key: /0/results/0/task)'],
            r"`model-index`\. No setting makes it",
        ),
        (["something else"], "one that its message names"),
    ],
)
def test_a_refusal_of_the_cards_metadata_names_the_field_and_its_setting(
    settings, source, hub_server, refused, said
):
    hub_server.refused_fields = refused
    with pytest.raises(CardError, match=said) as caught:
        push(settings, source)
    assert refused[0] in str(caught.value), "the Hub's own words are kept"
    assert "the model repository 'me/support-triage'" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        ("license", "push.dataset_license"),
        ("license_link", "push.dataset_license_link"),
        ("language", "push.languages"),
    ],
)
def test_a_refusal_of_a_datasets_card_names_the_datasets_settings(
    settings, source, hub_server, monkeypatch, field, setting
):
    from huggingface_hub import HfApi

    real = HfApi.create_commit

    def create_commit(self, *args, **kwargs):
        hub_server.refused_fields = [f'"{field}" is wrong'] * (kwargs["repo_type"] == "dataset")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(HfApi, "create_commit", create_commit)
    with pytest.raises(
        CardError, match=rf"`{field}`\. Correct {re.escape(setting)} and run"
    ) as told:
        push(settings, source)
    assert "the dataset repository" in str(told.value)


def test_metadata_that_the_hub_refuses_only_when_it_is_committed_is_told_too(
    settings, source, hub_server
):
    message = 'Invalid metadata in README.md. - "base_model" is not a valid repository'
    hub_server.fail("commit", 400, message)
    with pytest.raises(CardError, match=r"`base_model`\. Correct push\.base_model"):
        push(settings, source)


def test_a_token_that_is_revoked_meanwhile_is_told(
    settings, source, hub_server, monkeypatch, forget
):
    expected = push(settings, source)
    forget()
    token = hub_server.token
    hub_server.fail("preupload", 401, "Invalid credentials in Authorization header")
    with pytest.raises(TokenError, match="revoked"):
        push(settings, source)
    hub_server.faults.clear()
    hub_server.token = token[::-1]  # the new one
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    assert push(settings, source) == expected


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
    with pytest.raises(PermissionDeniedError, match=r"not for \[token\]"):
        push(settings, source)


def test_a_token_that_the_end_of_a_long_message_cuts_does_not_get_into_it(
    settings, source, hub_server
):
    token = hub_server.token
    shown = _MAX_DETAIL - len(token) // 2
    hub_server.fail("create", 403, "x" * shown + token)
    with pytest.raises(PermissionDeniedError, match=r"x\[token\]") as caught:
        push(settings, source)
    assert token[:8] not in str(caught.value)


def test_no_network_is_told_with_the_way_to_do_without(source):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = PushSettings(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match=r"No connection.*push\.destination=local"):
        push(settings, source)


def test_offline_mode_is_named(settings, source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PushError, match="HF_HUB_OFFLINE") as caught:
        push(settings, source)
    assert not isinstance(caught.value, OutageError), "waiting does not help"


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
