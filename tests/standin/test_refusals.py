"""What the stand-in and the tests' own servers refuse is seen, from whatever process."""

import subprocess
import sys

import httpx
import pytest

from standin.application import serve as serve_application
from standin.refusals import REFUSALS_VARIABLE
from standin.server import serve
from tests.published import Refusals, note, refusal_of
from tests.standin.bodies import answer_body

BAD = answer_body("Hi", topp=0.5)
PATH = "/v1beta/models/stand-in:generateContent"


@pytest.fixture
def refusals(tmp_path, monkeypatch):
    """Those of this test alone: the one that looks at every test does not see them."""
    monkeypatch.setenv(REFUSALS_VARIABLE, "")
    return Refusals(tmp_path)


def send(url, body):
    return httpx.post(f"{url}{PATH}", json=body, timeout=60).status_code


@pytest.mark.parametrize("start", [serve, serve_application], ids=["pipeline", "application"])
def test_a_bad_request_to_the_stand_in_fails_the_test_that_does_not_mean_it(refusals, start):
    with start() as server:
        assert send(server.url, BAD) == 400
    complaint = refusals.complaint(are_meant=False)
    assert complaint.count(PATH) == 1
    assert 'Unknown name "topp"' in complaint
    assert refusals.complaint(are_meant=False) is None, "each is seen once"


def test_a_bad_request_to_a_stand_in_of_another_process_is_seen(refusals):
    command = [sys.executable, "-m", "standin", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().rpartition(" ")[2].strip()
        assert send(url, BAD) == 400
        process.terminate()
    assert [line.partition(":")[0] for line in refusals.new()] == ["/v1beta/models/stand-in"]


def test_a_test_that_means_it_has_to_send_one(refusals):
    assert "take the mark" in refusals.complaint(are_meant=True)
    note(refusal_of("/v1/chat/completions", b"{}"))
    assert refusals.complaint(are_meant=True) is None


def test_what_is_no_fault_of_the_request_is_not_held_against_it(refusals):
    with serve(faults={"unavailable": 0.5, "shared_quota": 0.5}) as server:
        assert {send(server.url, answer_body(f"Hi {number}")) for number in range(20)} == {429, 503}
    note(None)
    assert refusals.new() == []
