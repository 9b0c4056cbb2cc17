"""Vertex AI by application-default credentials, and keys from Secret Manager, on loopback."""

import json

import pytest

from service_llm.errors import AuthenticationError, UnreachableError
from service_llm.google_sign_in import SignIn
from service_llm.types import Request
from tests.service_llm.conftest import Word, gemini_error, gemini_reply, words

SECRET = "projects/p/secrets/gemini/versions/latest"
VERTEX = {"vertex_project": "team", "vertex_location": "europe-west4"}


@pytest.fixture
def person(cloud, monkeypatch, tmp_path):
    """Credentials of `gcloud auth application-default login`."""
    file = tmp_path / "application_default_credentials.json"
    values = {"client_id": "1", "client_secret": "2", "refresh_token": "3"}
    file.write_text(json.dumps({"type": "authorized_user", **values}), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setattr(
        "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{cloud.url}/token"
    )
    return cloud


def test_a_token_that_another_request_fetched_meanwhile_is_not_shown_either(cloud):
    shown = SignIn().shown("403: Bearer abc.d-e_f== of ya29.a0Af_B-c, no bearer of news")
    assert shown == "403: Bearer [token] of [token], no bearer of news"


def test_a_token_is_renewed_in_vain_five_times_and_anew_once_one_was_let_in(cloud):
    sign_in = SignIn()

    def renewed_in_vain():
        sign_in.credentials.token = "old"
        return sign_in.renews("old")

    assert not renewed_in_vain(), "nothing was ever let in, so nothing has expired"
    for _ in range(2):
        sign_in.served()
        assert [renewed_in_vain() for _ in range(6)] == [True] * 5 + [False]


@pytest.fixture
def nobody(cloud, monkeypatch, tmp_path):
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


def test_vertex_is_asked_with_a_token_of_a_person_who_signed_in(ask, server, person):
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    results, _ = ask(words(5), **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer token-1"}
    assert person.tokens == 1


def test_a_person_whose_sign_in_has_ended_is_told_how_to_sign_in(ask, server, person):
    """https://github.com/cline/cline/issues/4080: a company may ask for it every day."""
    person.down = True
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        ask(words(1), **VERTEX)
    assert server.bodies == []


def test_a_token_of_a_person_that_expires_in_a_run_is_renewed(ask, server, person):
    expired = gemini_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials")
    server.respond = lambda body, number: (
        gemini_reply('{"word": "a"}')
        if number <= 2 or server.headers[number - 1]["Authorization"] != "Bearer token-1"
        else expired
    )
    results, usage = ask(words(6), max_attempts=1, **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert (usage.calls, person.tokens) == (6, 2)


def test_an_account_without_permission(ask, server, cloud):
    server.respond = lambda body, number: gemini_error(403, "PERMISSION_DENIED", "aiplatform.user")
    with pytest.raises(AuthenticationError, match=r"aiplatform\.user.*credentials.*same command"):
        ask(words(5), **VERTEX)
    assert len(server.bodies) == 1


def test_no_error_shows_a_token(ask, server, cloud):
    """As of a gateway that quotes the request; not even the one before the latest."""

    def respond(body, number):
        token = server.headers[0]["Authorization"]
        expired = gemini_error(401, "UNAUTHENTICATED", "Expired.")
        return {1: gemini_reply('{"word": "a"}'), 2: expired}.get(
            number, gemini_error(403, "PERMISSION_DENIED", f"Who is {token}, or token-2?")
        )

    server.respond = respond
    with pytest.raises(AuthenticationError) as error:
        ask(words(3), max_concurrency=1, **VERTEX)
    assert "Who is Bearer [token], or [token]?" in str(error.value)
    assert cloud.tokens == 2


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
