"""The stand-in's batch prediction jobs of Vertex AI, asked in plain HTTP."""

import json

import httpx
import pytest

from standin.server import serve
from tests.standin.bodies import answer_body

PLACE = "projects/team/locations/global"
TOKEN = {"Authorization": "Bearer t"}


def put(url, name, text):
    """Upload an object in the multipart form that Cloud Storage's clients send."""
    parts = [json.dumps({"name": name}), text]
    body = "".join(f"--b\r\nContent-Type: text/plain\r\n\r\n{part}\r\n" for part in parts) + "--b--"
    headers = {"Content-Type": 'multipart/related; boundary="b"', **TOKEN}
    sent = httpx.post(f"{url}/upload/storage/v1/b/team/o", content=body, headers=headers)
    assert sent.status_code == 200, sent.text


def objects(url, prefix):
    """The names of objects that begin so."""
    query = {"prefix": prefix}
    listed = httpx.get(f"{url}/storage/v1/b/team/o", params=query, headers=TOKEN).json()
    return [item["name"] for item in listed["items"]]


def job(**changes):
    return {
        "displayName": "a job",
        "model": "publishers/google/models/stand-in",
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://team/in.jsonl"]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://team/out"},
        },
        **changes,
    }


def create(url, body, headers=TOKEN):
    return httpx.post(
        f"{url}/v1/{PLACE}/batchPredictionJobs", json=body, headers=headers, timeout=60
    )


def get(url, name):
    return httpx.get(f"{url}/v1/{name}", headers=TOKEN, timeout=60).json()


@pytest.mark.unpublished
def test_replies_come_with_their_requests_in_another_order():
    requests = [
        answer_body(f"Where is order {number}?") | {"labels": {"key": str(number)}}
        for number in range(12)
    ]
    requests[3] = {"contents": [], "labels": {"key": "3"}}
    with serve() as server:
        put(server.url, "in.jsonl", "\n".join(json.dumps({"request": one}) for one in requests))
        made = create(server.url, job())
        assert made.json()["state"] == "JOB_STATE_RUNNING"
        done = get(server.url, made.json()["name"])
        assert done["state"] == "JOB_STATE_SUCCEEDED"
        folder = done["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://team/")
        listed = objects(server.url, folder)
        assert [name.removeprefix(folder) for name in listed] == [
            "/incremental_predictions.jsonl",
            "/predictions.jsonl",
        ]
        path = listed[-1].replace("/", "%2F")
        url = f"{server.url}/download/storage/v1/b/team/o/{path}?alt=media"
        text = httpx.get(url, headers=TOKEN).text
    lines = [json.loads(line) for line in text.splitlines()]
    keys = [line["request"]["labels"]["key"] for line in lines]
    assert sorted(keys, key=int) == [str(number) for number in range(12)] != keys
    (failed,) = [line for line in lines if line["status"]]
    assert failed["request"]["labels"]["key"] == "3"
    assert failed["status"].startswith('Bad Request: {"error": {"code": 400')
    assert failed["response"] == {}


def test_jobs_are_found_by_their_display_name():
    with serve() as server:
        for name in ("one", "two"):
            assert create(server.url, job(displayName=name)).status_code == 200
        url = f"{server.url}/v1/{PLACE}/batchPredictionJobs"
        for query, found in (({"filter": 'display_name="two"'}, ["two"]), ({}, ["one", "two"])):
            listed = httpx.get(url, params=query, headers=TOKEN).json()["batchPredictionJobs"]
            assert [item["displayName"] for item in listed] == found


def test_a_job_whose_requests_cannot_be_read_fails_with_the_reason():
    with serve() as server:
        failed = get(server.url, create(server.url, job()).json()["name"])
    assert failed["state"] == "JOB_STATE_FAILED"
    assert "No such object: team/in.jsonl" in failed["error"]["message"]


@pytest.mark.unpublished
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bogus": 1}, 'Unknown name "bogus"'),
        ({"inputConfig": {"bogus": 1}}, "Unknown name \"bogus\" at 'input_config'"),
        ({"inputConfig": {"instancesFormat": "bigquery"}}, "jsonl"),
    ],
    ids=["a field", "an inner field", "BigQuery"],
)
def test_a_job_is_checked_against_the_published_type(changes, said):
    with serve() as server:
        refused = create(server.url, job(**changes))
    assert refused.status_code == 400
    assert said in refused.json()["error"]["message"]


def test_jobs_take_bearer_tokens_alone():
    with serve() as server:
        assert create(server.url, job(), headers={}).status_code == 401
        url = f"{server.url}/v1/{PLACE}/batchPredictionJobs"
        assert httpx.get(url, headers={"x-goog-api-key": "k"}).status_code == 401


@pytest.mark.unpublished
def test_another_upload_than_a_multipart_one_is_refused():
    with serve() as server:
        url = f"{server.url}/upload/storage/v1/b/team/o?uploadType=resumable"
        sent = httpx.post(url, json={"name": "in.jsonl"}, headers=TOKEN)
        assert sent.status_code == 400


def test_objects_take_bearer_tokens_alone_and_are_deleted():
    with serve() as server:
        put(server.url, "in.jsonl", "{}")
        url = f"{server.url}/storage/v1/b/team/o"
        own = f"{url}/in.jsonl"
        answers = [
            httpx.post(f"{server.url}/upload/storage/v1/b/team/o", content=b""),
            httpx.get(url),
            httpx.get(f"{server.url}/storage/v1/b/team"),
            httpx.get(f"{server.url}/download/storage/v1/b/team/o/in.jsonl"),
            httpx.delete(own),
        ]
        assert [answer.status_code for answer in answers] == [401] * 5
        assert objects(server.url, "") == ["in.jsonl"]
        bucket = httpx.get(f"{server.url}/storage/v1/b/team", headers=TOKEN).json()
        assert bucket["name"] == "team"
        assert httpx.delete(own, headers=TOKEN).status_code == 200
        assert objects(server.url, "") == []
        assert httpx.delete(own, headers=TOKEN).status_code == 404


@pytest.mark.parametrize(
    ("labels", "is_taken"),
    [
        ({"key": "0-" + "a" * 61}, True),
        ({"key": ""}, True),
        ({"key": "0-" + "a" * 62}, False),
        ({"key": "0/a"}, False),
        ({"key": "A"}, False),
        ({"0key": "a"}, False),
    ],
    ids=str,
)
def test_labels_are_those_that_google_cloud_takes(labels, is_taken):
    request = answer_body("Where is my order?") | {"labels": labels}
    with serve() as server:
        put(server.url, "in.jsonl", json.dumps({"request": request}))
        get(server.url, create(server.url, job()).json()["name"])
        (name,) = [one for one in objects(server.url, "out") if one.endswith("/predictions.jsonl")]
        path = name.replace("/", "%2F")
        url = f"{server.url}/download/storage/v1/b/team/o/{path}?alt=media"
        line = httpx.get(url, headers=TOKEN).json()
    assert bool(line["response"]) == is_taken
    assert ("label" in line["status"]) != is_taken
