"""Vertex AI, Cloud Storage and a registry on loopback, as far as the commands ask them."""

import base64
import json
import re
import threading
import urllib.parse
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google_crc32c

_JOBS = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+)/pipelineJobs(?:/([^/?]+))?$")
_CANCEL = re.compile(
    r"/v1/projects/[^/]+/locations/[^/]+/(pipelineJobs|customJobs)/([^/]+):cancel$"
)
_CUSTOM_JOBS = re.compile(r"/v1/projects/[^/]+/locations/[^/]+/customJobs$")
_SCHEDULES = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+)/schedules(?:/([^/?]+))?$")
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)$")
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)$")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o$")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o$")
_DATAFLOW = re.compile(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs(?:/([^/]+)(/messages)?)?$")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)$")


class FakeCloud:
    """What was asked is remembered; what is answered can be set.

    Attributes:
        url: Of the server.
        buckets: Objects by name, by bucket.
        jobs: Jobs by id, as they were sent, with `state` and `jobDetail` added by a test.
        custom_jobs: Custom jobs by id.
        schedules: Schedules as they were sent.
        dataflow_jobs: Dataflow jobs as they were sent, each done at once, and those of a test with
            an id.
        images: Names of the images, with their tags.
        refusals: Regular expression of a path to the status and message it is answered with.
        on_create: Called with each new job before it is stored.
    """

    def __init__(self):
        self.buckets = {}
        self.generations = {}
        self.jobs = {}
        self.custom_jobs = {}
        self.schedules = []
        self.dataflow_jobs = []
        self.images = set()
        self.refusals = {}
        self.on_create = lambda job: None
        self.requests = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method, path, query, body):
        """Status, headers and body (bytes, or what becomes JSON) of a request."""
        self.requests.append((method, path))
        for pattern, (status, message) in self.refusals.items():
            if re.search(pattern, path):
                return _error(status, message)
        for pattern, respond in (
            (_CANCEL, self._cancel),
            (_CUSTOM_JOBS, self._list_custom_jobs),
            (_JOBS, self._job),
            (_SCHEDULES, self._schedule),
            (_OBJECT, self._download),
            (_BUCKET, self._bucket),
            (_LIST, self._list),
            (_UPLOAD, self._upload),
            (_DATAFLOW, self._dataflow),
            (_MANIFEST, self._manifest),
        ):
            if match := pattern.match(path):
                return respond(method, match, query, body)
        return _error(404, f"nothing is at {method} {path}")

    def _cancel(self, method, match, query, body):
        jobs = self.jobs if match[1] == "pipelineJobs" else self.custom_jobs
        jobs[match[2]]["state"] = jobs[match[2]]["state"].replace("RUNNING", "CANCELLED")
        return 200, {}, {}

    def _list_custom_jobs(self, method, match, query, body):
        return 200, {}, {"customJobs": _filtered(self.custom_jobs, query)}

    def _job(self, method, match, query, body):
        parent, job_id = match.groups()
        if method == "GET" and job_id is None:
            return 200, {}, {"pipelineJobs": _filtered(self.jobs, query)}
        if method == "POST":
            job_id = query["pipelineJobId"][0]
            if job_id in self.jobs:
                return _error(409, f"{job_id} already exists", "ALREADY_EXISTS")
            job = json.loads(body)
            job["name"] = f"{parent}/pipelineJobs/{job_id}"
            job["state"] = "PIPELINE_STATE_RUNNING"
            self.on_create(job)
            self.jobs[job_id] = job
        if job_id not in self.jobs:
            return _error(404, f"The PipelineJob {job_id} does not exist", "NOT_FOUND")
        return 200, {}, self.jobs[job_id]

    def _schedule(self, method, match, query, body):
        if method == "GET":
            return 200, {}, {"schedules": self.schedules}
        if method == "DELETE":
            name = f"{match[1]}/schedules/{match[2]}"
            self.schedules = [s for s in self.schedules if s["name"] != name]
            return 200, {}, {"name": "operations/1", "done": True}
        schedule = json.loads(body)
        schedule["name"] = f"{match[1]}/schedules/{len(self.schedules) + 1}"
        self.schedules.append(schedule)
        return 200, {}, schedule

    def _objects(self, bucket):
        return self.buckets.get(bucket)

    def _bucket(self, method, match, query, body):
        if self._objects(match[1]) is None:
            return _error(404, "The specified bucket does not exist.")
        return 200, {}, {"name": match[1], "projectNumber": "123"}

    def _list(self, method, match, query, body):
        objects = self._objects(match[1])
        if objects is None:
            return _error(404, "The specified bucket does not exist.")
        prefix = query.get("prefix", [""])[0]
        items = [{"name": name} for name in sorted(objects) if name.startswith(prefix)]
        return 200, {}, {"items": items}

    def _download(self, method, match, query, body):
        objects = self._objects(match[1])
        name = urllib.parse.unquote(match[2])
        if objects is None or name not in objects:
            return _error(404, f"No such object: {match[1]}/{name}")
        if query.get("alt") != ["media"]:
            return 200, {}, self._resource(match[1], name)
        generation = str(self.generations[match[1], name])
        return 200, {"X-Goog-Generation": generation}, objects[name]

    def _upload(self, method, match, query, body):
        objects = self._objects(match[1])
        if objects is None:
            return _error(404, "The specified bucket does not exist.")
        kind, data = body
        if method == "PUT":
            return self._store(match[1], query["name"][0], data, {})
        if query["uploadType"] == ["resumable"]:
            name = urllib.parse.quote(json.loads(data)["name"], safe="")
            return 200, {"Location": f"{self.url}{match[0]}?name={name}"}, {}
        parts = BytesParser().parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + data)
        metadata, content = (part.get_payload(decode=True) for part in parts.get_payload())
        return self._store(match[1], json.loads(metadata)["name"], content, query)

    def _store(self, bucket, name, content, query):
        generation = self.generations.get((bucket, name), 0)
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"][0]) != generation:
            return _error(412, "At least one of the pre-conditions did not hold.")
        self.buckets[bucket][name] = content
        self.generations[bucket, name] = generation + 1
        return 200, {}, self._resource(bucket, name)

    def _resource(self, bucket, name):
        """What the service tells of an object; clients compare the checksum with their own."""
        checksum = google_crc32c.Checksum(self.buckets[bucket][name]).digest()
        return {
            "name": name,
            "generation": str(self.generations[bucket, name]),
            "crc32c": base64.b64encode(checksum).decode(),
        }

    def _dataflow(self, method, match, query, body):
        known = {job["id"]: job for job in self.dataflow_jobs if "id" in job}
        if method == "POST":
            self.dataflow_jobs.append(json.loads(body))
        elif method == "PUT":
            known[match[1]]["currentState"] = json.loads(body)["requestedState"]
        elif match[1] is None:  # a list has summaries only
            active = [j for j in known.values() if j["currentState"] == "JOB_STATE_RUNNING"]
            summaries = [{k: j[k] for k in ("id", "name", "labels")} for j in active]
            return 200, {}, {"jobs": summaries}
        if match[2]:
            return 200, {}, {}
        if match[1] in known:
            return 200, {}, known[match[1]]
        job = self.dataflow_jobs[-1]
        return 200, {}, {**job, "id": "1", "currentState": "JOB_STATE_DONE"}

    def _manifest(self, method, match, query, body):
        if f"{match[1]}:{match[2]}" not in self.images:
            return 404, {}, b""
        return 200, {}, b""


def _filtered(jobs, query):
    states = re.findall(r'state="(\w+)"', query.get("filter", [""])[0])
    return [job for job in jobs.values() if not states or job["state"] in states]


def _error(code, message, status=None):
    return code, {}, {"error": {"code": code, "message": message, "status": status}}


def _handler(cloud):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(None)

        def do_DELETE(self):
            self._answer(None)

        def do_HEAD(self):
            self._answer(None)

        def do_PUT(self):
            self.do_POST()

        def do_POST(self):
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/upload"):
                data = (self.headers["Content-Type"].encode(), data)
            self._answer(data)

        def _answer(self, body):
            url = urllib.parse.urlparse(self.path)
            query = urllib.parse.parse_qs(url.query)
            status, headers, content = cloud.answer(self.command, url.path, query, body)
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
                headers = {**headers, "Content-Type": "application/json; charset=UTF-8"}
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *args):
            """Requests are remembered, not printed."""

    return Handler
