"""Where the token is looked for, and in which order; Secret Manager is a server on loopback."""

import google.auth
import pytest

from components.hf_pusher.credentials import check_token, find_token, has_token
from components.hf_pusher.errors import TokenError
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


def test_the_login_is_used_where_nothing_else_is_named(login):
    assert find_token(PushSettings()) == "hf_login"
    assert has_token(PushSettings())


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
