"""Where the token is looked for, and in which order; Secret Manager is a server on loopback."""

import base64
import http.server
import json
import threading

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials

from components.hf_pusher.credentials import find_token, has_token
from components.hf_pusher.errors import TokenError
from components.hf_pusher.settings import PushSettings

SECRET = "projects/p/secrets/hub/versions/latest"


@pytest.fixture
def secrets(monkeypatch):
    """Secrets by name; a name that is not there is answered with 403, as the service does."""
    held = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            value = held.get(self.path.removeprefix("/v1/").removesuffix(":access"))
            body = b"{}"
            if value is not None:
                data = base64.b64encode(value.encode()).decode()
                body = json.dumps({"payload": {"data": data}}).encode()
            self.send_response(403 if value is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(
            "components.hf_pusher.credentials._SECRET_MANAGER_URL",
            f"http://127.0.0.1:{server.server_port}/v1",
        )
        monkeypatch.setattr(google.auth, "default", lambda **kwargs: (AnonymousCredentials(), "p"))
        yield held
        server.shutdown()


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
    with pytest.raises(TokenError, match=rf"{SECRET}.*Secret Manager Secret Accessor"):
        find_token(PushSettings(token_secret=SECRET))


def test_a_secret_without_google_credentials_is_an_error(monkeypatch):
    def none(**kwargs):
        raise google.auth.exceptions.DefaultCredentialsError("no credentials")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(TokenError, match="DefaultCredentialsError"):
        find_token(PushSettings(token_secret=SECRET))
