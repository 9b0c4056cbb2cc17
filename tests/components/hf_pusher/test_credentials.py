"""Where the token is looked for, and in which order; Secret Manager is a server on loopback."""

import google.auth
import pytest

from components.hf_pusher.credentials import check_token, describe_push, find_token, has_token
from components.hf_pusher.errors import TokenError
from components.hf_pusher.push import open_hub
from components.hf_pusher.settings import PushSettings
from tests.components.hf_pusher.secret_manager import SECRET, serving_secrets


@pytest.fixture
def secrets(monkeypatch):
    with serving_secrets(monkeypatch) as held:
        yield held


@pytest.fixture
def login(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("hf_login")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


def test_the_named_variable_comes_first(secrets, login, monkeypatch):
    secrets[SECRET] = "hf_secret"
    monkeypatch.setenv("MY_TOKEN", " hf_variable\n")
    settings = PushSettings(token_env="MY_TOKEN", token_secret=SECRET)
    assert find_token(settings) == "hf_variable"


def test_the_secret_comes_before_the_login(secrets, login):
    secrets[SECRET] = "hf_secret\n"
    assert find_token(PushSettings(token_secret=SECRET)) == "hf_secret"


def test_the_login_is_used_where_the_hub_is_named(login):
    settings = PushSettings(destination="hub")
    assert find_token(settings) == "hf_login"
    assert has_token(settings)


@pytest.mark.parametrize("destination", ["auto", "local"])
def test_a_stored_login_alone_uploads_nothing(login, destination):
    settings = PushSettings(destination=destination)
    assert find_token(settings) is None
    assert not has_token(settings)
    assert open_hub(settings, runs_on_this_machine=True).is_local
    assert "nothing is uploaded" in describe_push(settings, "my_task")


def test_where_a_push_goes_is_described(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_variable")
    said = describe_push(PushSettings(owner="ada", private=False, push_space=False), "my-task")
    assert "the Hugging Face Hub as ada/my-task, PUBLIC" in said
    assert "quotes coverage prompts" in said
    assert "a Space" not in said
    assert "hf_variable" not in said


def test_logged_exchanges_are_uploaded_only_where_the_settings_say_so_and_with_a_warning(
    monkeypatch,
):
    monkeypatch.setenv("HF_TOKEN", "hf_variable")
    for wanted in (None, False):
        said = describe_push(PushSettings(push_dataset=wanted), "my_task", logged=1200)
        assert "exchanges of real users are uploaded" not in said
        assert ("push.push_dataset=true adds it" in said) == (wanted is None)
    said = describe_push(PushSettings(push_dataset=True), "my_task", logged=1200)
    assert "Warning: up to 1,200 logged exchanges of real users are uploaded" in said
    assert "logged" not in describe_push(PushSettings(), "my_task")


def test_without_any_there_is_none():
    assert find_token(PushSettings()) is None
    assert not has_token(PushSettings())


def test_a_secret_that_may_not_be_read_is_an_error_and_not_another_token(secrets, login):
    message = rf"push\.token_secret.*{SECRET}.*secretmanager\.secretAccessor"
    with pytest.raises(TokenError, match=message):
        find_token(PushSettings(token_secret=SECRET))


def test_a_secret_without_google_credentials_is_an_error(monkeypatch):
    def none(**kwargs):
        raise google.auth.exceptions.DefaultCredentialsError("no credentials")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(TokenError, match="DefaultCredentialsError"):
        find_token(PushSettings(token_secret=SECRET))


@pytest.mark.parametrize("destination", ["hub", "auto", "local"])
def test_a_missing_token_is_told_before_anything_is_done_only_where_it_is_needed(destination):
    settings = PushSettings(destination=destination, token_env="MY_TOKEN")
    if destination == "hub":
        with pytest.raises(TokenError, match=r"MY_TOKEN.*hf auth login"):
            check_token(settings)
    else:
        check_token(settings)


def test_a_named_secret_counts_as_a_token_without_being_read():
    check_token(PushSettings(destination="hub", token_secret=SECRET))
