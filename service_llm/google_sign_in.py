"""Application default credentials of Google Cloud, and what to do when their token expires.

Reference:
    https://github.com/pydantic/pydantic-ai/issues/1186 (expired in a run)
"""

import collections
import re
from typing import Any

import google.auth
import google.auth.exceptions

from core.secret_text import without
from service_llm.errors import KEPT, AuthenticationError, ServiceLLMError, TransientError
from service_llm.proxies import proxy_for

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_MAX_RENEWALS_IN_VAIN = 5
_KEPT_TOKENS = 4  # requests with an earlier one may still be answered
# Two requests at once may each have fetched one, of which the credentials keep the later.
_ANY_TOKEN = re.compile(r"(?<=Bearer )[\w.~+/=-]+|\bya29\.[\w.-]+")


class SignIn:
    """The credentials of one client.

    Attributes:
        credentials: As google-auth has them.

    Raises:
        AuthenticationError: There are none.
        UserError: The proxy to where tokens come from cannot be used.
    """

    def __init__(self) -> None:
        try:
            self.credentials: Any = google.auth.default(scopes=_SCOPES)[0]
        except google.auth.exceptions.GoogleAuthError as error:
            raise no_credentials(error) from error
        if url := getattr(self.credentials, "_token_uri", None):
            proxy_for(url)
        self._tokens: collections.deque[str] = collections.deque(maxlen=_KEPT_TOKENS)
        self._has_served = False
        self._renewals_in_vain = 0

    @property
    def token(self) -> str | None:
        """The current access token; None before the first request, and while it is renewed."""
        token: str | None = self.credentials.token
        if token and token not in self._tokens:
            self._tokens.append(token)
        return token

    def shown(self, text: str) -> str:
        """Return a text that may quote a token without it."""
        for token in {self.token, *self._tokens}:
            text = without(token, text, "[token]")
        return _ANY_TOKEN.sub("[token]", text)

    def served(self) -> None:
        """Note that a request was let in."""
        self._has_served, self._renewals_in_vain = True, 0

    def renews(self, token: str | None) -> bool:
        """Tell whether a refused token has expired, and have a new one fetched if so.

        Args:
            token: The token when the request was sent.
        """
        if not self._has_served:
            return False
        if token is None or self.token != token:
            return True  # another request has had it renewed meanwhile
        self._renewals_in_vain += 1
        if self._renewals_in_vain > _MAX_RENEWALS_IN_VAIN:
            return False
        self.credentials.token = None  # google-genai asks for one before the next request
        return True


def translated_sign_in(
    error: google.auth.exceptions.GoogleAuthError,
) -> ServiceLLMError | TransientError:
    """Return the error of this package that an error of google-auth means."""
    if error.retryable or isinstance(error, google.auth.exceptions.TransportError):
        return TransientError(f"Google's sign-in did not answer ({error}).", is_unreachable=True)
    return no_credentials(error)


def no_credentials(error: google.auth.exceptions.GoogleAuthError) -> AuthenticationError:
    """Return what to do about credentials that are missing, or have expired."""
    reason = " ".join(str(error.args[0] if error.args else error).split())  # then: a whole body
    return AuthenticationError(
        f"Google Cloud's default credentials cannot be used ({reason}). Run: gcloud auth "
        f"application-default login, or give the machine a service account. {KEPT}"
    )
