"""A Hugging Face Hub on loopback: repositories, commits, tags, LFS objects, and faults on request.

It answers what the client asks for in a push or a download, in the Hub's own formats. Large files
(binary ones, as on the Hub) go through the LFS batch interface, in parts above `PART_BYTES`.
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import threading
from urllib.parse import unquote, urlsplit

PART_BYTES = 20_000
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclasses.dataclass
class Repository:
    kind: str
    repo_id: str
    private: bool
    sdk: str | None = None
    commits: list = dataclasses.field(default_factory=list)  # (oid, message, {path: bytes})
    tags: dict = dataclasses.field(default_factory=dict)
    lfs_paths: set = dataclasses.field(default_factory=set)

    def commit(self, message, files):
        number = f"{self.kind}{self.repo_id}{len(self.commits)}"
        oid = hashlib.sha1(number.encode()).hexdigest()
        self.commits.append((oid, message, files))
        return oid

    @property
    def head(self):
        return self.commits[-1]

    def files(self, revision="main"):
        oid = self.head[0] if revision == "main" else self.tags.get(revision, revision)
        return next((c for c in self.commits if c[0] == oid), None)


@dataclasses.dataclass
class Fault:
    status: int  # 0 closes the connection without an answer
    message: str = "planted"
    times: int = 1_000
    after: bool = False  # do the work, then fail


class Hub:
    """The state of the server; `url` is its endpoint, `token` the only valid token."""

    def __init__(self):
        self.token = "hf_" + "validtoken" * 3
        self.user = "me"
        self.writable = {"me"}
        self.repositories = {}
        self.objects = {}
        self.verified = set()
        self.parts = {}
        self.faults = {}
        self.requests = []
        self.lock = threading.RLock()
        self.url = ""

    def fail(self, step, status, message="planted", times=1_000, after=False):
        self.faults[step] = Fault(status, message, times, after)

    def state(self):
        """Everything that a reader can see."""
        return {
            key: ([(message, files) for _, message, files in r.commits], dict(r.tags))
            for key, r in self.repositories.items()
        }


@contextlib.contextmanager
def running_hub():
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield hub
        server.shutdown()


class _Answer(Exception):  # noqa: N818
    def __init__(self, status, body, headers=()):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers)


def _error(status, message, code=None):
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return _Answer(status, {"error": message}, headers)


_ROUTES = [
    ("POST", "create", r"/api/repos/create"),
    ("GET", "whoami", r"/api/whoami-v2"),
    ("POST", "yaml", r"/api/validate-yaml"),
    ("POST", "preupload", r"/api/(\w+)/([^/]+/[^/]+)/preupload/([^/]+)"),
    ("POST", "commit", r"/api/(\w+)/([^/]+/[^/]+)/commit/([^/]+)"),
    ("POST", "tag", r"/api/(\w+)/([^/]+/[^/]+)/tag/([^/]+)"),
    ("GET", "info", r"/api/(models|datasets|spaces)/([^/]+/[^/]+)(?:/revision/([^/]+))?"),
    ("GET", "tree", r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?"),
    ("POST", "batch", r"/(?:(\w+)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("PUT", "upload", r"/lfs/upload/(\w+)(?:/(\d+))?"),
    ("POST", "complete", r"/lfs/complete/(\w+)"),
    ("POST", "verify", r"/lfs/verify"),
    ("GET", "resolve", r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)"),
]
_WITHOUT_TOKEN = {"upload", "complete", "yaml"}


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer: two would wait for each other
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def _serve(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = unquote(urlsplit(self.path).path)
        for verb, step, pattern in _ROUTES:  # noqa: B007
            if (verb == method) and (match := re.fullmatch(pattern, path)):
                break
        else:
            return self._send(_error(404, f"no route {method} {path}"))
        fault = self.hub.faults.get(step)
        faulty = fault is not None and fault.times > 0
        if faulty:
            fault.times -= 1
        with self.hub.lock:
            self.hub.requests.append(step)
            if faulty and not fault.after:
                return self._send(_error(fault.status, fault.message))
            try:
                if step not in _WITHOUT_TOKEN:
                    self._authorize()
                answer = getattr(self, f"_{step}")(body, *match.groups())
            except _Answer as raised:
                answer = raised
        return self._send(_error(fault.status, fault.message) if faulty else answer)

    def do_GET(self):
        self._serve("GET")

    def do_HEAD(self):
        self._serve("GET")

    def do_POST(self):
        self._serve("POST")

    def do_PUT(self):
        self._serve("PUT")

    def _send(self, answer):
        if answer.status == 0:
            self.close_connection = True
            return
        content = (
            answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        )
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _authorize(self):
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            raise _error(401, "Invalid credentials in Authorization header")

    def _repository(self, folder, repo_id):
        try:
            return self.hub.repositories[KINDS[folder or "models"], repo_id]
        except KeyError:
            raise _error(404, "Repository not found", "RepoNotFound") from None

    def _whoami(self, body):
        return _Answer(200, {"type": "user", "name": self.hub.user, "orgs": []})

    def _create(self, body):
        wanted = json.loads(body)
        owner = wanted.get("organization") or self.hub.user
        if owner not in self.hub.writable:
            raise _error(403, f"You don't have the rights to create a repo under {owner}")
        kind, repo_id = wanted.get("type", "model"), f"{owner}/{wanted['name']}"
        prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[kind]
        answer = {"url": f"{self.hub.url}/{prefix}{repo_id}", "name": repo_id}
        if (kind, repo_id) in self.hub.repositories:
            raise _Answer(409, {"error": "You already created this repo", **answer})
        private = wanted.get("private", wanted.get("visibility") == "private")
        repository = Repository(kind, repo_id, private, wanted.get("sdk"))
        repository.commit("initial commit", {".gitattributes": b"*.h5 filter=lfs\n"})
        self.hub.repositories[kind, repo_id] = repository
        return _Answer(200, answer)

    def _yaml(self, body):
        wanted = json.loads(body)
        valid = re.match(r"---\n.+?\n---\n", wanted["content"], re.DOTALL)
        errors = [] if valid else [{"message": "no metadata"}]
        return _Answer(200 if valid else 400, {"errors": errors, "warnings": []})

    def _info(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        commit = repository.files(revision or "main")
        if commit is None:
            raise _error(404, "Revision not found", "RevisionNotFound")
        siblings = [
            {"rfilename": path, "size": len(content), **self._blob(repository, path, content)}
            for path, content in commit[2].items()
        ]
        value = {"_id": "1", "id": repo_id, "sha": commit[0], "private": repository.private}
        return _Answer(200, {**value, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        files = repository.files(revision)[2]
        return _Answer(
            200,
            [
                {
                    "type": "file",
                    "path": path,
                    "size": len(content),
                    "oid": self._blob(repository, path, content)["blobId"],
                }
                for path, content in files.items()
            ],
        )

    @staticmethod
    def _blob(repository, path, content):
        digest = hashlib.sha256(content).hexdigest()
        if path in repository.lfs_paths:
            pointer = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{digest}\nsize {len(content)}\n"
            ).encode()
            lfs = {"sha256": digest, "size": len(content), "pointerSize": len(pointer)}
            return {"blobId": _git_sha1(pointer), "lfs": lfs}
        return {"blobId": _git_sha1(content)}

    def _preupload(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        files = []
        for file in json.loads(body)["files"]:
            is_large = b"\0" in base64.b64decode(file["sample"])
            old = repository.head[2].get(file["path"])
            oid = None
            if old is not None:
                oid = hashlib.sha256(old).hexdigest() if is_large else _git_sha1(old)
            mode = "lfs" if is_large else "regular"
            files.append(
                {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}
            )
        return _Answer(200, {"files": files})

    def _batch(self, body, folder, repo_id):
        self._repository(folder, repo_id)
        objects = []
        for item in json.loads(body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.verified:
                verify = {"href": f"{self.hub.url}/lfs/verify"}
                entry["actions"] = {"upload": self._upload_action(item), "verify": verify}
            objects.append(entry)
        return _Answer(200, {"transfer": "basic", "objects": objects})

    def _upload_action(self, item):
        if item["size"] <= PART_BYTES:
            return {"href": f"{self.hub.url}/lfs/upload/{item['oid']}"}
        count = -(-item["size"] // PART_BYTES)
        parts = {
            str(n): f"{self.hub.url}/lfs/upload/{item['oid']}/{n}" for n in range(1, count + 1)
        }
        header = {"chunk_size": str(PART_BYTES), **parts}
        return {"href": f"{self.hub.url}/lfs/complete/{item['oid']}", "header": header}

    def _upload(self, body, oid, part):
        if part:
            self.hub.parts[oid, int(part)] = body
        else:
            self.hub.objects[oid] = body
        return _Answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _complete(self, body, oid):
        numbers = sorted(part["partNumber"] for part in json.loads(body)["parts"])
        self.hub.objects[oid] = b"".join(self.hub.parts[oid, number] for number in numbers)
        return _Answer(200, {})

    def _verify(self, body):
        oid = json.loads(body)["oid"]
        if hashlib.sha256(self.hub.objects.get(oid, b"")).hexdigest() != oid:
            raise _error(422, "The object is not what was announced")
        self.hub.verified.add(oid)
        return _Answer(200, {})

    def _commit(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repository.head[0]):
            raise _error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.head[2])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.verified:
                    raise _error(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = self.hub.objects[value["oid"]]
                repository.lfs_paths.add(value["path"])
            else:
                del files[value["path"]]
        oid = repository.commit(header["summary"], files)
        url = f"{self.hub.url}/{repo_id}/commit/{oid}"
        return _Answer(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def _tag(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        tag = json.loads(body)["tag"]
        if tag in repository.tags:
            raise _error(409, "Tag already exists")
        repository.tags[tag] = revision
        return _Answer(200, {})

    def _resolve(self, body, folder, repo_id, revision, path):
        commit = self._repository(folder, repo_id).files(revision)
        if commit is None or path not in commit[2]:
            raise _error(404, "Entry not found", "EntryNotFound")
        content = commit[2][path]
        headers = {"X-Repo-Commit": commit[0], "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return _Answer(200, content, headers)


def _git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
