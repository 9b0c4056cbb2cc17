"""Bearer tokens of Vertex AI, which expire in the middle of a run.

Reference:
    https://cloud.google.com/docs/authentication/rest, and what the service answers to a token that
    has expired: https://github.com/pydantic/pydantic-ai/issues/1186
"""

import threading
from collections import Counter
from collections.abc import Mapping

from standin.errors import HttpError

_SCHEME = "Bearer "
_MESSAGE = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class Tokens:
    """Counts what each token was used for.

    Args:
        requests: Requests after which a token has expired; None for never.
    """

    def __init__(self, requests: int | None) -> None:
        self._requests = requests
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in.

        Args:
            headers: Of the request, with lower-case names.

        Raises:
            HttpError: 401, for want of a token that is valid.
        """
        given = headers.get("authorization", "")
        if not given.startswith(_SCHEME):
            raise _unauthenticated("CREDENTIALS_MISSING")
        with self._lock:
            self._used[given] += 1
            if self._requests is not None and self._used[given] > self._requests:
                raise _unauthenticated("ACCESS_TOKEN_EXPIRED")


def _unauthenticated(reason: str) -> HttpError:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com"},
    }
    return HttpError(401, "UNAUTHENTICATED", _MESSAGE, details=[detail])
