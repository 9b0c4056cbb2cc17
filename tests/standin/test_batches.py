"""Batch jobs of the stand-in, by file and inline, over HTTP."""

import json

import httpx
import pytest

from standin.server import serve
from tests.standin.bodies import answer_body


def upload(url, content):
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    begun = httpx.post(f"{url}/upload/v1beta/files", headers=start, json={"file": {}})
    half = len(content) // 2
    target = begun.headers["x-goog-upload-url"]
    for command, offset, part in (
        ("upload", 0, content[:half]),
        ("upload, finalize", half, content[half:]),
    ):
        headers = {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(offset)}
        done = httpx.post(target, headers=headers, content=part)
    assert done.headers["x-goog-upload-status"] == "final"
    return done.json()["file"]["name"]


def run(url, config):
    batch = {"batch": {"displayName": "a job", "inputConfig": config}}
    made = httpx.post(f"{url}/v1beta/models/stand-in:batchGenerateContent", json=batch)
    assert made.status_code == 200, made.text
    # The first one answered in this process learns the grammar, which takes seconds.
    job = httpx.get(f"{url}/v1beta/{made.json()['name']}", timeout=60).json()
    assert (job["done"], job["metadata"]["displayName"]) == (True, "a job")
    return job["metadata"]["output"]


@pytest.mark.unpublished
def test_replies_of_a_file_carry_their_keys_in_another_order():
    keys = [f"key-{number}" for number in range(12)]
    lines = [{"key": key, "request": answer_body(f"Where is order {key}?")} for key in keys]
    lines[3]["request"] = {"contents": []}
    with serve() as server:
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        output = run(server.url, {"fileName": upload(server.url, content)})
        url = f"{server.url}/v1beta/{output['responsesFile']}:download?alt=media"
        replies = [json.loads(line) for line in httpx.get(url).text.splitlines()]
    assert sorted(reply["key"] for reply in replies) == sorted(keys)
    assert [reply["key"] for reply in replies] != keys
    (failed,) = [reply for reply in replies if "error" in reply]
    assert (failed["key"], failed["error"]["code"]) == ("key-3", 3)


def test_inline_replies_come_without_the_metadata_of_their_requests():
    requests = [
        {"request": answer_body(f"Hi {number}"), "metadata": {"key": str(number)}}
        for number in range(4)
    ]
    with serve() as server:
        output = run(server.url, {"requests": {"requests": requests}})
    replies = output["inlinedResponses"]["inlinedResponses"]
    assert [set(reply) for reply in replies] == [{"response"}] * 4


@pytest.mark.unpublished
def test_a_file_that_is_not_there_or_has_no_keys_starts_no_job():
    with serve() as server:
        content = json.dumps(answer_body("Hi")).encode()
        name = upload(server.url, content)
        for file, status in ((name, 400), ("files/none", 403)):
            batch = {"batch": {"inputConfig": {"fileName": file}}}
            url = f"{server.url}/v1beta/models/stand-in:batchGenerateContent"
            assert httpx.post(url, json=batch).status_code == status
