"""A Hugging Face Hub on loopback: repositories, commits, tags, LFS objects, and faults on request.

It answers what the client asks for in a push or a download, in the Hub's own formats. Large files
(binary ones, as on the Hub) arrive as `hub_storage` takes them.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from urllib.parse import unquote, urlsplit

from tests.components.hf_pusher.hub_state import KINDS, Answer, Hub, Repository, error
from tests.components.hf_pusher.hub_storage import (
    ROUTES,
    WITH_XET_TOKEN,
    WITHOUT_TOKEN,
    XET_TOKEN,
    Storage,
)


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


def download_from(hub, monkeypatch, cache):
    """Let the Hub's client of this process download from a hub of `running_hub`."""
    monkeypatch.setenv("HF_TOKEN", hub.token)
    constants = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
    }
    for name, value in constants.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)


_ROUTES = [
    ("POST", "create", r"/api/repos/create"),
    ("GET", "whoami", r"/api/whoami-v2"),
    ("POST", "yaml", r"/api/validate-yaml"),
    ("POST", "preupload", r"/api/(\w+)/([^/]+/[^/]+)/preupload/([^/]+)"),
    ("POST", "commit", r"/api/(\w+)/([^/]+/[^/]+)/commit/([^/]+)"),
    ("POST", "tag", r"/api/(\w+)/([^/]+/[^/]+)/tag/([^/]+)"),
    ("GET", "info", r"/api/(models|datasets|spaces)/([^/]+/[^/]+)(?:/revision/([^/]+))?"),
    ("GET", "tree", r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?"),
    ("GET", "resolve", r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)"),
]


class _Handler(Storage, http.server.BaseHTTPRequestHandler):
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
        for verb, step, pattern in [*_ROUTES, *ROUTES]:  # noqa: B007
            if (verb == method) and (match := re.fullmatch(pattern, path)):
                break
        else:
            return self._send(error(404, f"no route {method} {path}"))
        fault = self._fault(step)
        if fault and fault.hangs and not fault.after:
            self._hang()
        with self.hub.lock:
            self.hub.requests.append(step)
            if fault and not fault.after:
                return self._send(error(fault.status, fault.message))
            try:
                self._authorize(step)
                answer = getattr(self, f"_{step}")(body, *match.groups())
            except Answer as raised:
                answer = raised
        if fault and fault.hangs:
            self._hang()
        return self._send(error(fault.status, fault.message) if fault else answer)

    def _fault(self, step):
        fault = self.hub.faults.get(step)
        if fault is None or fault.times == 0:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        fault.times -= 1
        return fault

    def _hang(self):
        self.hub.hanging.set()
        self.hub.go_on.wait()

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

    def _authorize(self, step):
        token = XET_TOKEN if step in WITH_XET_TOKEN else self.hub.token
        known = self.headers.get("Authorization") == f"Bearer {token}"
        if not known and step not in {"yaml", *WITHOUT_TOKEN}:
            raise error(401, "Invalid credentials in Authorization header")

    def _repository(self, folder, repo_id):
        try:
            return self.hub.repositories[KINDS[folder or "models"], repo_id]
        except KeyError:
            raise error(404, "Repository not found", "RepoNotFound") from None

    def _whoami(self, body):
        return Answer(200, {"type": "user", "name": self.hub.user, "orgs": []})

    def _create(self, body):
        wanted = json.loads(body)
        owner = wanted.get("organization") or self.hub.user
        if owner not in self.hub.writable:
            raise error(403, f"You don't have the rights to create a repo under {owner}")
        kind, repo_id = wanted.get("type", "model"), f"{owner}/{wanted['name']}"
        prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[kind]
        answer = {"url": f"{self.hub.url}/{prefix}{repo_id}", "name": repo_id}
        if (kind, repo_id) in self.hub.repositories:
            raise Answer(409, {"error": "You already created this repo", **answer})
        private = wanted.get("private", wanted.get("visibility") == "private")
        repository = Repository(kind, repo_id, private, wanted.get("sdk"))
        repository.commit("initial commit", {".gitattributes": b"*.h5 filter=lfs\n"})
        self.hub.repositories[kind, repo_id] = repository
        return Answer(200, answer)

    def _yaml(self, body):
        wanted = json.loads(body)
        valid = re.match(r"---\n.+?\n---\n", wanted["content"], re.DOTALL)
        refused = self.hub.refused_fields if valid else ["no metadata"]
        errors = [{"message": message} for message in refused]
        return Answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def _info(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        commit = repository.files(revision or "main")
        if commit is None:
            raise error(404, "Revision not found", "RevisionNotFound")
        siblings = [
            {"rfilename": path, "size": len(content), **self._blob(repository, path, content)}
            for path, content in commit[2].items()
        ]
        value = {"_id": "1", "id": repo_id, "sha": commit[0], "private": repository.private}
        value["gated"] = "manual" if repository.gated else False
        return Answer(200, {**value, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        files = repository.files(revision)[2]
        return Answer(
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
        return Answer(200, {"files": files})

    def _commit(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repository.head[0]):
            raise error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.head[2])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.verified:
                    raise error(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = self.hub.objects[value["oid"]]
                repository.lfs_paths.add(value["path"])
            else:
                del files[value["path"]]
        oid = repository.commit(header["summary"], files)
        url = f"{self.hub.url}/{repo_id}/commit/{oid}"
        return Answer(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def _tag(self, body, folder, repo_id, revision):
        repository = self._repository(folder, repo_id)
        tag = json.loads(body)["tag"]
        if tag in repository.tags:
            raise error(409, "Tag already exists")
        repository.tags[tag] = revision
        return Answer(200, {})

    def _resolve(self, body, folder, repo_id, revision, path):
        repository = self._repository(folder, repo_id)
        if repository.gated and not repository.accepted:
            raise error(403, "Access to the model is restricted", "GatedRepo")
        commit = repository.files(revision)
        if commit is None or path not in commit[2]:
            raise error(404, "Entry not found", "EntryNotFound")
        content = commit[2][path]
        headers = {"X-Repo-Commit": commit[0], "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return Answer(200, content, headers)


def _git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
