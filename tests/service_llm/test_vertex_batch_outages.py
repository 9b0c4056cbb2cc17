"""Cloud Storage away, damaged, closed or behind a proxy: no batch job of Vertex AI is lost."""

import json

import google.auth.exceptions
import pytest
from google.auth.credentials import AnonymousCredentials

from core.errors import OutageError, UserError
from service_llm.cloud_storage import explained_errors, open_storage
from service_llm.errors import AuthenticationError, UnreachableError
from service_llm.google_sign_in import SignIn
from standin.buckets import Buckets
from standin.errors import HttpError
from standin.kept import Kept
from standin.prediction_jobs import PredictionJobs
from standin.server import serve
from standin.tokens import Tokens
from tests.service_llm.test_vertex_batch import FOLDER, ask, created

__all__ = ["ask", "created"]  # fixtures

UNAVAILABLE = HttpError(503, "UNAVAILABLE", "The service is currently unavailable.")


def failing(method, error, times):
    """A method that raises an error when replies are asked for, so many times."""
    left = [times]

    def fail(self, *args):
        if "replies" in str(args) and left[0] > 0:
            left[0] -= 1
            raise error
        return method(self, *args)

    return fail


@pytest.mark.parametrize("name", ["listed", "read"])
@pytest.mark.parametrize(
    "error", [UNAVAILABLE, HttpError(429, "RESOURCE_EXHAUSTED", "Slow down.")], ids=["503", "429"]
)
def test_an_outage_of_the_bucket_is_sat_out_however_often_it_is_asked(
    ask, monkeypatch, created, name, error
):
    monkeypatch.setattr(Buckets, name, failing(getattr(Buckets, name), error, 25))
    with serve() as server:
        results, usage = ask(server, 3, retry_seconds=0)
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 3)


def test_an_outage_of_the_bucket_that_lasts_ends_the_run_and_loses_no_job(
    ask, monkeypatch, created
):
    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Buckets, "listed", failing(Buckets.listed, UNAVAILABLE, 999))
            with pytest.raises(UnreachableError, match=rf"{FOLDER} .*cannot be reached"):
                ask(server, 3, give_up_after_seconds=0.05)
        results, usage = ask(server, 3)
        assert server.stats()["answered"] == 3
    assert all(result.value for result in results)
    assert (len(created), usage.calls) == (1, 3)


def test_a_file_that_is_damaged_on_its_way_is_read_again(ask, monkeypatch, created):
    answer, damaged = Kept.answer, []

    def damaging(self, route, call):
        response = answer(self, route, call)
        if route.kind != "object" or len(damaged) == 12:
            return response
        damaged.append(route.name)
        sums = "crc32c=AAAAAA==,md5=AAAAAAAAAAAAAAAAAAAAAA=="
        return response._replace(headers={"X-Goog-Hash": sums})

    monkeypatch.setattr(Kept, "answer", damaging)
    with serve() as server:
        results, usage = ask(server, 3, retry_seconds=0)
        damaged.clear()
        assert all(result.value for result in results)
        assert (len(created), usage.calls) == (1, 3)
        with pytest.raises(UnreachableError, match=r"damaged on its way .*[Cc]hecksum"):
            ask(server, ["Is it damaged?"], give_up_after_seconds=0.01)


def test_an_upload_that_was_done_is_not_done_again(ask, monkeypatch, created):
    uploads, upload = [], Buckets.upload
    monkeypatch.setattr(Buckets, "upload", lambda *args: uploads.append(args) or upload(*args))
    refused = [UNAVAILABLE, UNAVAILABLE]
    create = PredictionJobs.create

    def refusing(self, place, body):
        if refused:
            raise refused.pop()
        return create(self, place, body)

    monkeypatch.setattr(PredictionJobs, "create", refusing)
    with serve() as server:
        results, _ = ask(server, 3)
    assert all(result.value for result in results)
    assert (len(uploads), len(created)) == (1, 1)


def test_a_sign_in_that_has_ended_is_told_as_such(ask, cloud):
    cloud.down = True
    with serve() as server, pytest.raises(AuthenticationError) as error:
        ask(server, 3)
    told = str(error.value)
    assert "invalid_grant" in told
    assert "gcloud auth application-default login" in told
    assert "bucket" not in told, "that is not at fault"
    assert "{" not in told, "nor a body"


def test_an_error_of_google_auth_that_passes_is_an_outage(ask, monkeypatch):
    error = google.auth.exceptions.RefreshError("try later", retryable=True)
    said = pytest.raises(OutageError, match=r"cannot be reached now.*try later")
    with said, explained_errors("The folder"):
        raise error


@pytest.fixture
def socks(monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5h://someone:secret@proxy.example:1080")
    monkeypatch.setenv("NO_PROXY", "aiplatform.googleapis.com")


def test_a_socks_proxy_to_cloud_storage_is_told_before_anything_is_sent(socks, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with pytest.raises(
        UserError, match=r"ALL_PROXY names a socks5h://.*storage\.googleapis\.com to NO_PROXY"
    ) as error:
        open_storage("team", AnonymousCredentials())
    assert "secret" not in str(error.value)


def test_a_socks_proxy_to_where_tokens_come_from_is_told(cloud, socks):
    with pytest.raises(UserError, match=r"ALL_PROXY names a socks5h://.*127\.0\.0\.1 to NO_PROXY"):
        SignIn()


def test_an_error_of_the_bucket_shows_no_token(ask, monkeypatch):
    def quoting(self, bucket, call):
        raise HttpError(403, "PERMISSION_DENIED", f"No: {call.headers['authorization']}")

    monkeypatch.setattr(Buckets, "upload", quoting)
    with serve() as server, pytest.raises(UserError, match=r"No: Bearer \[token\]") as error:
        ask(server, 3)
    assert "token-1" not in str(error.value)


def test_a_row_of_a_job_shows_no_token(ask, monkeypatch):
    line, check, tokens = PredictionJobs._line, Tokens.check, []

    def checked(self, headers):
        tokens.append(headers["authorization"])
        check(self, headers)

    def quoting(self, model, request):
        if "order 1?" in json.dumps(request):
            status = f"Bad Request: of {tokens[-1]}."
            return {"request": request, "status": status, "response": {}}
        return line(self, model, request)

    monkeypatch.setattr(Tokens, "check", checked)
    monkeypatch.setattr(PredictionJobs, "_line", quoting)
    with serve() as server:
        results, _ = ask(server, 3)
    assert results[1].error == "refused"
    assert "of Bearer [token]." in results[1].raw
