"""Secrets that a task cannot read: what is missing, or that Secret Manager is away."""

import re

import google.auth
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from requests.exceptions import ChunkedEncodingError

from components.hf_pusher.credentials import find_token
from components.hf_pusher.settings import PushSettings
from core.errors import OutageError, UserError
from core.secret_manager import read_secret
from service_llm.secrets import api_key
from service_llm.settings import ServiceLLMSettings
from tests.pipeline.vertex import gcloud

NAME = "projects/team/secrets/hf-token/versions/1"


def test_a_secret_that_cannot_be_read_is_named_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(UserError, match=r"hf-token.*secrets add-iam-policy-binding hf-token"):
        read_secret(NAME)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(403, "gcloud secrets add-iam-policy-binding hf-token", id="closed"),
        pytest.param(404, "gcloud secrets versions add hf-token", id="no value"),
    ],
)
def test_what_secret_manager_refuses_is_told_without_what_it_said(monkeypatch, status, expected):
    answer = requests.Response()
    answer.status_code = status
    answer._content = b"what may not be shown"
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "team"))
    monkeypatch.setattr(AuthorizedSession, "get", lambda self, url, timeout: answer)
    with pytest.raises(UserError) as told:
        read_secret(NAME)
    assert expected in str(told.value)
    assert f"status {status}" in str(told.value)
    for command in re.findall(r"gcloud (.+)", str(told.value)):
        gcloud.check(command)
    assert "what may not be shown" not in str(told.value)


def _answer(status):
    answer = requests.Response()
    answer.status_code = status
    return answer


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: _answer(503), id="out of order"),
        pytest.param(lambda: _answer(429), id="too many requests"),
        pytest.param(lambda: _raise(requests.ConnectionError("reset by peer")), id="reset"),
        pytest.param(lambda: _raise(requests.ReadTimeout("read timed out")), id="no answer"),
        pytest.param(lambda: _raise(ChunkedEncodingError("cut off")), id="cut off"),
        pytest.param(lambda: _raise(TransportError("no metadata server")), id="no sign-in"),
        pytest.param(  # as google.auth.compute_engine wraps it
            lambda: _raise(RefreshError(TransportError("no metadata server"))), id="no refresh"
        ),
        pytest.param(lambda: _raise(RefreshError("503", retryable=True)), id="sign-in is away"),
    ],
)
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: read_secret(NAME), id="of a task"),
        pytest.param(
            lambda: find_token(PushSettings(token_env="NONE", token_secret=NAME)), id="of the Hub"
        ),
        pytest.param(
            lambda: api_key(
                ServiceLLMSettings(
                    provider="gemini", model="x", api_key_env=None, api_key_secret=NAME
                )
            ),
            id="of the service",
        ),
    ],
)
def test_an_outage_of_secret_manager_is_none_of_the_roles(monkeypatch, read, answer):
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "team"))
    monkeypatch.setattr(AuthorizedSession, "get", lambda self, url, timeout: answer())
    with pytest.raises(OutageError, match="could not be read") as told:
        read()
    assert "gcloud" not in str(told.value), "no role is missing"
