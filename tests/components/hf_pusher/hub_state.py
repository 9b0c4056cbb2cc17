"""What the Hub on loopback knows, what it answers, and the faults that it plays."""

import dataclasses
import hashlib
import threading

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
    gated: bool = False
    accepted: bool = False  # its license, by the owner of the token

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
    skip: int = 0  # so many requests pass before
    hangs: bool = False  # no answer comes before `Hub.go_on`


class Hub:
    """The state of the server.

    `url` is its endpoint, `token` the only valid token, `transfer` how large files come.
    """

    def __init__(self):
        self.token = "hf_" + "validtoken" * 3
        self.user = "me"
        self.writable = {"me"}
        self.repositories = {}
        self.objects = {}
        self.verified = set()
        self.parts = {}
        self.xorbs = {}
        self.largest_file = 1 << 40
        self.refused_fields = []  # what is said of a card's metadata
        self.faults = {}
        self.requests = []
        self.hanging, self.go_on = threading.Event(), threading.Event()
        self.lock = threading.RLock()
        self.url = ""
        self.transfer = "lfs"

    def fail(self, step, status, message="planted", times=1_000, after=False):
        self.faults[step] = Fault(status, message, times, after)

    def hang(self, step, skip=0, after=False):
        """`hanging` is set once a request for the step waits for an answer."""
        self.faults[step] = Fault(0, skip=skip, hangs=True, after=after)

    def forget(self):
        """Back to an empty Hub."""
        for held in (self.repositories, self.verified, self.objects, self.parts, self.xorbs):
            held.clear()

    def state(self):
        """Everything that a reader can see."""
        return {
            key: ([(message, files) for _, message, files in r.commits], dict(r.tags))
            for key, r in self.repositories.items()
        }


class Answer(Exception):  # noqa: N818
    """An answer to a request; raised where no other one is possible."""

    def __init__(self, status, body, headers=()):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers)


def error(status, message, code=None):
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return Answer(status, {"error": message}, headers)
