"""Keys of four services are used in a whole run, quoted by the services, and found nowhere.

Between the run and the services stands a server that refuses some requests, with messages that
quote the key that came with them, as it is and in a URL.
"""

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from standin.server import serve
from tests.components.hf_pusher.hub_server import running_hub
from tests.published import note, refusal_of
from tests.secret_traces import left_in, traces

ROOT = Path(__file__).resolve().parents[1]
KEYS = {
    "GENERATOR_KEY": "AIzaSyD+generator/0123456789=abcdefghij",
    "JUDGE_KEY": "sk-proj-judge+0123456789/abcdefghij=klmn",
    "EMBEDDER_KEY": "gsk_embedder=0123456789+abcdefghij/klmn",
}
TOKEN = "HUB_TOKEN"
# Of each service's requests: after it has answered some, so that single ones are set aside.
REFUSED, FAILED = range(20, 24), (5, 6)

pytestmark = pytest.mark.slow


class Between(http.server.BaseHTTPRequestHandler):
    """Passes requests on, and refuses some; remembers the keys that came."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service = ""
    lock = threading.Lock()
    counts = dict.fromkeys(KEYS, 0)
    is_judge_let_in = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        note(refusal_of(self.path, body))
        sent = self.headers.get("x-goog-api-key") or self.headers["Authorization"]
        key = sent.removeprefix("Bearer ")
        name = next(name for name, value in KEYS.items() if value == key)
        with self.lock:
            self.counts[name] += 1
            number = self.counts[name]
        said = f"{key} came with {self.path}?key={quote(key, safe='')}"
        if name == "JUDGE_KEY" and not self.is_judge_let_in:
            self._send(401, _error(401, "UNAUTHENTICATED", f"Incorrect API key provided: {said}"))
        elif number in FAILED:
            self._send(500, _error(500, "INTERNAL", f"A worker crashed: {said}"))
        elif number in REFUSED and name != "EMBEDDER_KEY":
            # So long that the client cuts it off within the key.
            words = f"Blocked by a rule of the gateway. {'x' * 520} {said}"
            self._send(400, _error(400, "INVALID_ARGUMENT", words))
        else:
            upstream = http.client.HTTPConnection(urlsplit(self.service).netloc, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            upstream.request("POST", self.path, body, headers)
            answer = upstream.getresponse()
            self._send(answer.status, answer.read())
            upstream.close()

    def _send(self, status, content):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def _error(code, status, message):
    return json.dumps({"error": {"code": code, "status": status, "message": message}}).encode()


@pytest.fixture(scope="module")
def url():
    with serve() as service:
        Between.service = service.url
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def hub():
    with running_hub() as hub:
        yield hub


def run(folder, url, hub):
    values = {
        "output_dir": folder / "output",
        "rounds.max_rounds": 1,
        "service_llm.api_key_env": "GENERATOR_KEY",
        "service_llm.base_url": url,
        "service_llm.log_prompts": True,
        "service_llm.retry_seconds": 0.01,
        "judge.provider": "openai",
        "judge.model": "stand-in-judge",
        "judge.base_url": f"{url}/v1",
        "judge.api_key_env": "JUDGE_KEY",
        "judge.retry_seconds": 0.01,
        "embedder.provider": "openai",
        "embedder.model": "stand-in-embedding",
        "embedder.base_url": f"{url}/v1",
        "embedder.api_key_env": "EMBEDDER_KEY",
        "embedder.retry_seconds": 0.01,
        "synth.leak_judge": True,
        "evaluator.gate.threshold_percent": 0,
        "push.destination": "hub",
        "push.endpoint": hub.url,
        "push.token_env": TOKEN,
    }
    pairs = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    environment = {k: v for k, v in os.environ.items() if k != "UNDERSTUDY_STANDIN_URL"}
    done = subprocess.run(
        [sys.executable, "local_runner.py", "run", "--preset", "smoke", *pairs],
        cwd=ROOT,
        env={
            **environment,
            **KEYS,
            TOKEN: hub.token,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    with (folder / "terminal.txt").open("a") as terminal:
        terminal.write(done.stdout + done.stderr)
    return done


def test_keys_of_a_run_with_several_services_are_found_nowhere(url, hub, tmp_path):
    secrets = KEYS | {TOKEN: hub.token}
    refused = run(tmp_path, url, hub)
    assert refused.returncode == 2, refused.stderr
    assert "Incorrect API key provided: [key] came with" in refused.stderr
    Between.is_judge_let_in = True
    hub.fail("commit", 500, f"Not with {hub.token}", times=1)
    failed = run(tmp_path, url, hub)
    assert failed.returncode == 2, failed.stderr
    assert "Not with [token]" in failed.stderr
    done = run(tmp_path, url, hub)
    assert done.returncode == 0, done.stderr
    assert min(Between.counts.values()) > max(FAILED), "each service was asked with its own key"
    kinds = {repository.kind for repository in hub.repositories.values()}
    assert kinds == {"model", "dataset", "space"}
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert {".db", ".gz", ".html", ".json", ".jsonl", ".log", ".txt"} <= suffixes
    kept = b"".join(path.read_bytes() for path in (tmp_path / "output").rglob("*.json*"))
    assert b"Blocked by a rule of the gateway" in kept, "a reason that quoted a key is kept"
    assert left_in(tmp_path, secrets) == {}
    pushed = {
        f"{repository.repo_id}/{path}": traces(content, secrets)
        for repository in hub.repositories.values()
        for _, _, files in repository.commits
        for path, content in files.items()
    }
    assert pushed
    assert not {path: names for path, names in pushed.items() if names}
    beginnings = {name: secret[:12] for name, secret in secrets.items()}
    assert left_in(tmp_path, beginnings) == {}, "not even a part of a key"
