"""Google Cloud's sign-in and Secret Manager on loopback."""

import base64
import http.server
import json
import threading
import urllib.parse

# https://developers.google.com/identity/protocols/oauth2/scopes, those of the clients in use.
_SCOPES = {
    f"https://www.googleapis.com/auth/{name}"
    for name in (
        *("cloud-platform", "cloud-platform.read-only"),
        *("devstorage.full_control", "devstorage.read_only", "devstorage.read_write"),
    )
}


class GoogleCloud:
    """Gives tokens for service accounts, and secrets to who brings one."""

    def __init__(self):
        self.secrets = {}
        self.tokens = 0
        self.down = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if not _scopes(body) <= _SCOPES:
                    self._answer(400, {"error": "invalid_scope"})
                    return
                if outer.down:
                    self._answer(400, {"error": "invalid_grant"})
                    return
                outer.tokens += 1
                token = {"access_token": f"token-{outer.tokens}", "expires_in": 3600}
                self._answer(200, token | {"token_type": "Bearer"})

            def do_GET(self):
                name = self.path.removeprefix("/v1/").removesuffix(":access")
                if not self.headers.get("Authorization", "").startswith("Bearer token-"):
                    self._answer(401, {})
                elif name not in outer.secrets:
                    self._answer(403, {})
                else:
                    data = base64.b64encode(outer.secrets[name].encode()).decode()
                    self._answer(200, {"payload": {"data": data}})

            def _answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def _scopes(body):
    """What is asked for: https://developers.google.com/identity/protocols/oauth2/service-account"""
    fields = urllib.parse.parse_qs(body)
    if "assertion" not in fields:  # a person's refresh token has the scopes of its consent
        return set()
    assertion = fields["assertion"][0].split(".")[1]
    return set(json.loads(base64.urlsafe_b64decode(assertion + "=="))["scope"].split())
