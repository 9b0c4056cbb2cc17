"""Vertex AI by application-default credentials, and keys from Secret Manager, on loopback."""

import pytest

from service_llm.errors import AuthenticationError, UnreachableError
from service_llm.types import Request
from tests.service_llm.conftest import Word, gemini_error, gemini_reply, words

SECRET = "projects/p/secrets/gemini/versions/latest"
VERTEX = {"vertex_project": "team", "vertex_location": "europe-west4"}


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A machine without any credentials."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))


def test_vertex_is_asked_with_a_token_of_the_default_credentials(ask, server, cloud):
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    results, usage = ask([Request(f"word {n}", Word) for n in range(5)], **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert usage.calls == 5
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer token-1"}
    assert not any("x-goog-api-key" in headers for headers in server.headers)
    assert set(server.paths) == {
        "/v1beta1/projects/team/locations/europe-west4/publishers/google/models/"
        "gemini-2.5-flash:generateContent"
    }
    assert cloud.tokens == 1, "one token serves all requests"


def test_an_account_without_permission(ask, server, cloud):
    server.respond = lambda body, number: gemini_error(403, "PERMISSION_DENIED", "aiplatform.user")
    with pytest.raises(AuthenticationError, match=r"aiplatform\.user.*credentials.*same command"):
        ask(words(5), **VERTEX)
    assert len(server.bodies) == 1


def test_credentials_that_are_not_there(ask, server, nobody):
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        ask(words(1), **VERTEX)
    assert server.bodies == []


def test_credentials_that_are_no_longer_valid(ask, server, cloud):
    cloud.down = True
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        ask(words(1), **VERTEX)
    assert server.bodies == []


def test_a_sign_in_that_does_not_answer_is_asked_again(ask, server, cloud):
    cloud.close()
    with pytest.raises(UnreachableError, match=r"sign-in.*sent 2 times"):
        ask(words(1), max_attempts=2, **VERTEX)


def test_a_key_from_secret_manager(ask, server, cloud, monkeypatch, tmp_path, caplog):
    caplog.set_level("DEBUG")
    cloud.secrets[SECRET] = "s3cret-of-the-manager\n"
    ask(words(2), api_key_secret=SECRET)
    assert {headers["x-goog-api-key"] for headers in server.headers} == {"s3cret-of-the-manager"}
    journal = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
    assert "s3cret-of-the-manager" not in journal.decode() + caplog.text
    monkeypatch.setenv("A_KEY", "from the environment")
    ask(words(1, index=1), api_key_env="A_KEY", api_key_secret=SECRET)
    assert server.headers[-1]["x-goog-api-key"] == "from the environment"


def test_a_secret_that_may_not_be_read(ask, server, cloud):
    with pytest.raises(AuthenticationError, match=rf"{SECRET}.*secretmanager\.secretAccessor"):
        ask(words(1), api_key_secret=SECRET)
    assert server.bodies == []
