"""One changed cell takes a notebook from the stand-in to Gemini with a key."""

import http.server
import threading
import urllib.request

import pytest

from notebooks.render import execute, read, tagged
from pipeline.config import load_config
from standin.server import serve
from tests.notebooks.conftest import errors_in

pytestmark = pytest.mark.slow

GEMINI = load_config("gemini", environ={}).service_llm.model
KEY = "a-key-of-google-ai-studio"
ASKING = [
    "02_synth_data_gen",
    "03_llm_evaluator",
    *(pytest.param(name, marks=pytest.mark.soak) for name in ("04_fine_tune", "05_full_pipeline")),
]
# What the preset leaves to the real service and to hours of training is done here in seconds.
SMALL = {
    "SERVICE_LLM__REQUESTS_PER_MINUTE": "100000",
    "SYNTH__ROWS_PER_ROUND": "24",
    "TRAINING__PRESET": "random:gemma3-tiny",
    "TRAINING__MAX_STEPS": "2",
    "TRAINING__EXPORTS": "[]",
    "GENERATION__MAX_OUTPUT_TOKENS": "8",
    "GENERATION__BATCH_SIZE": "64",
    "EVALUATOR__BASELINES": '["service"]',
    "COVERAGE_DIR": "data/coverage/smoke",
}


@pytest.fixture
def gemini(monkeypatch):
    """Notes the key and the path of each request to the Gemini API; the stand-in answers it."""
    asked = []
    with serve() as standin:

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append((self.headers["x-goog-api-key"], self.path))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {"Content-Type": "application/json"}
                path = self.path.replace(GEMINI, "stand-in")
                request = urllib.request.Request(standin.url + path, body, headers)
                with urllib.request.urlopen(request) as reply:
                    content = reply.read()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        # The only thing that is not as with the real service: where it is.
        monkeypatch.setenv("UNDERSTUDY__SERVICE_LLM__BASE_URL", url)
        yield asked
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ASKING)
def test_the_preset_and_a_key_are_all_it_takes(name, gemini, executed, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    for variable, value in SMALL.items():
        monkeypatch.setenv(f"UNDERSTUDY__{variable}", value)
    (cell,) = tagged(read(name), "parameters")
    assert '"gemini"' in cell.source, "the cell names the preset"
    parameters = {"ROUNDS": 1, "ROWS": 24} if name.startswith("05") else {}
    notebook, found = executed(
        name,
        {"model": "config.service_llm.model", "stand_in": "'UNDERSTUDY_STANDIN_URL' in os.environ"},
        until="asks",
        PRESET="gemini",
        **parameters,
    )
    assert not errors_in(notebook)
    assert found == {"model": GEMINI, "stand_in": False}
    assert gemini, "nothing was asked"
    assert set(gemini) == {(KEY, f"/v1beta/models/{GEMINI}:generateContent")}
    assert KEY not in str(notebook)


def test_without_a_key_the_message_names_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(
        Exception, match=r"GEMINI_API_KEY is not set .*Run: export GEMINI_API_KEY=YOUR_KEY"
    ):
        execute(
            "02_synth_data_gen",
            {"PRESET": "gemini", "OUTPUT": str(tmp_path / "output")},
            until="asks",
        )
