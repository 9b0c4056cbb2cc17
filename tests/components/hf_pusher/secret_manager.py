"""Secret Manager on loopback."""

import base64
import contextlib
import http.server
import json
import threading

import google.auth
from google.auth.credentials import AnonymousCredentials

SECRET = "projects/p/secrets/hub/versions/latest"


@contextlib.contextmanager
def serving_secrets(monkeypatch):
    """Secrets by name; a name that is not there is answered with 403, as the service does."""
    held = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            value = held.get(self.path.removeprefix("/v1/").removesuffix(":access"))
            body = b"{}"
            if value is not None:
                data = base64.b64encode(value.encode()).decode()
                body = json.dumps({"payload": {"data": data}}).encode()
            self.send_response(403 if value is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(
            "core.secret_manager._URL",
            f"http://127.0.0.1:{server.server_port}/v1",
        )
        monkeypatch.setattr(google.auth, "default", lambda **kwargs: (AnonymousCredentials(), "p"))
        yield held
        server.shutdown()
